"""Contract tests: what every space, evaluator, metric and sampler must do.

A test of a new one inherits them; pytest must be installed.

Example:
    ```python
    from optnas.testing import SpaceContract

    class TestMySpace(SpaceContract):
        space = MySpace(...)
    ```
"""

import pytest

pytest.register_assert_rewrite(
    "optnas.testing.evaluators",
    "optnas.testing.metrics",
    "optnas.testing.samplers",
    "optnas.testing.spaces",
)

from optnas.testing.evaluators import EvaluatorContract as EvaluatorContract
from optnas.testing.metrics import MetricContract as MetricContract
from optnas.testing.samplers import (
    ChildContract as ChildContract,
    HistorySamplerContract as HistorySamplerContract,
    SamplerContract as SamplerContract,
)
from optnas.testing.spaces import SpaceContract as SpaceContract

__all__ = [
    "ChildContract",
    "EvaluatorContract",
    "HistorySamplerContract",
    "MetricContract",
    "SamplerContract",
    "SpaceContract",
]
