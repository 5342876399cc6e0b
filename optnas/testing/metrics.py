"""What every metric must do."""

from __future__ import annotations

import copy
import gc
import json
import math
from collections.abc import Mapping
from typing import cast

import pytest
import torch
from torch import Tensor

from optnas.candidate import Candidate
from optnas.metrics import Metric
from optnas.testing.common import generator_states, missing


class MetricContract:
    """What a `Metric` must do: measure a finite number, and leave the model as it was.

    To set: `metric`, the metric, as an attribute of the class.

    Attributes:
        grows: Whether a wider network has more of it; False for a throughput.

    Example:
        ```python
        import optnas
        from optnas.testing import MetricContract


        def megabytes(candidate):
            return sum(p.numel() * p.element_size() for p in candidate.model.parameters()) / 1e6


        class TestMyMetric(MetricContract):
            metric = optnas.FunctionMetric("weights_mb", megabytes, exact=True)
        ```
    """

    grows: bool = True

    @property
    def metric(self) -> Metric:
        """The metric under test."""
        raise NotImplementedError(missing(self, "metric, a metric"))

    class Network(torch.nn.Module):
        """A network with parameters, buffers, and a submodule that may be in another mode.

        Args:
            width: Channels of its convolutions.
            fails: Whether its forward pass raises RuntimeError half way.
        """

        def __init__(self, width: int, fails: bool = False) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, width, 3, padding=1)
            self.norm = torch.nn.BatchNorm2d(width)
            self.activation = torch.nn.ReLU()
            self.drop = torch.nn.Dropout(0.5)
            self.body = torch.nn.Conv2d(width, width, 3, padding=1)
            self.head = torch.nn.Linear(width * 256, 10)
            self.fails = fails

        def forward(self, x: Tensor) -> Tensor:
            x = self.body(self.drop(self.activation(self.norm(self.conv(x)))))
            if self.fails:
                raise RuntimeError("half way")
            y: Tensor = self.head(x.flatten(1))
            return y

    def candidate(self, width: int = 64, fails: bool = False) -> Candidate:
        """A candidate with a `Network`, and one image of 3 × 16 × 16 as its inputs."""
        return Candidate("", torch.randn(1, 3, 16, 16), lambda: self.Network(width, fails))

    @pytest.mark.parametrize("fails", [False, True])
    def test_leaves_the_model_alone(self, fails: bool) -> None:
        candidate = self.candidate()
        model = cast("MetricContract.Network", candidate.model)
        model.train()
        model.norm.eval()
        model(candidate.example_inputs).sum().backward()
        model.fails = fails
        state = copy.deepcopy(model.state_dict())
        modes = [m.training for m in model.modules()]
        grads = [_gradient(p).clone() for p in model.parameters()]
        attributes = [set(vars(m)) for m in model.modules()]
        generators, settings = generator_states(), self.settings()
        try:
            self.metric.measure(candidate)
            self.metric.check(candidate)
        except RuntimeError:
            assert fails
        assert candidate.model is model
        assert list(state) == list(model.state_dict())
        assert all(torch.equal(state[k], v) for k, v in model.state_dict().items())
        assert modes == [m.training for m in model.modules()]
        after = [_gradient(p) for p in model.parameters()]
        assert all(map(torch.equal, grads, after))
        assert attributes == [set(vars(m)) for m in model.modules()]
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
        assert generators == generator_states()
        assert settings == self.settings()

    @staticmethod
    def settings() -> Mapping[str, object]:
        """PyTorch's and Python's settings, by name, that a metric must put back."""
        return {
            "threads": torch.get_num_threads(),
            "fast path of attention": torch.backends.mha.get_fastpath_enabled(),
            "mkldnn": torch._C._get_mkldnn_enabled(),
            "inference mode": torch.is_inference_mode_enabled(),
            "gradients": torch.is_grad_enabled(),
            "garbage collection": gc.isenabled(),
        }

    def test_is_finite_and_grows_with_the_width(self) -> None:
        # What is measured varies, with what else runs: there the difference is a thousandfold.
        widths = (64, 128) if self.metric.exact else (16, 512)
        small, large = (self.metric.measure(self.candidate(width)) for width in widths)
        if not self.grows:
            small, large = large, small
        assert 0 < small < large < math.inf

    def test_counts_are_repeatable(self) -> None:
        if self.metric.exact:
            first, second = (self.metric.measure(self.candidate()) for _ in range(2))
            assert first == second

    def test_names_itself(self) -> None:
        assert self.metric.name
        assert self.metric.direction in ("minimize", "maximize")
        assert self.metric.effort in (0, 1, 2, 3)
        assert all(isinstance(key, str) for key in self.metric.fingerprint)
        assert json.loads(json.dumps(self.metric.fingerprint)) == self.metric.fingerprint

    def test_details_can_be_stored(self) -> None:
        candidate = self.candidate()
        self.metric.measure(candidate)
        self.metric.check(candidate)
        assert json.loads(json.dumps(candidate.details)) == candidate.details


def _gradient(parameter: torch.nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
