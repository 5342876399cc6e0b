"""Contract tests: what every search space, sampler, evaluator and metric must do.

They are for your own ones, too: a test class that inherits a contract has its tests. Each contract
says which attributes or methods the class must have, and has an example that is a whole test file.
They need pytest, which optnas itself doesn't: `pip install pytest`.

Example:
    ```python
    import torch

    import optnas
    from optnas.testing import SpaceContract


    def build(trial):
        width = trial.suggest_int("width", 1, 8)
        return torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.Linear(width, 2))


    class TestMySpace(SpaceContract):
        space = optnas.FunctionSpace(build, torch.zeros(1, 4))
    ```

Raises:
    ImportError: pytest isn't installed.
"""

try:
    import pytest
except ModuleNotFoundError as error:
    raise ImportError(
        "optnas.testing needs pytest, which isn't installed: pip install pytest"
    ) from error

# So that a failed assertion shows its values; it must happen before these files are imported.
pytest.register_assert_rewrite(
    "optnas.testing.changed_spaces",
    "optnas.testing.child_samplers",
    "optnas.testing.evaluators",
    "optnas.testing.failing_samplers",
    "optnas.testing.given_parameters",
    "optnas.testing.history_samplers",
    "optnas.testing.metrics",
    "optnas.testing.resumed_samplers",
    "optnas.testing.samplers",
    "optnas.testing.spaces",
)

from optnas.testing.child_samplers import ChildContract
from optnas.testing.evaluators import EvaluatorContract
from optnas.testing.history_samplers import HistorySamplerContract
from optnas.testing.metrics import MetricContract
from optnas.testing.samplers import SamplerContract
from optnas.testing.spaces import SpaceContract

__all__ = [
    "ChildContract",
    "EvaluatorContract",
    "HistorySamplerContract",
    "MetricContract",
    "SamplerContract",
    "SpaceContract",
]
