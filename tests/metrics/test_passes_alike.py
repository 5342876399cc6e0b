"""Timed passes are alike: each one gets the example inputs as they were given."""

import pytest
import torch
from torch import nn

from optnas.candidate import Candidate
from optnas.metrics import Latency
from optnas.metrics.energy import Energy
from optnas.metrics.runtimes import torch_pass

CPU = torch.device("cpu")


class InPlace(nn.Module):
    """Changes its input in place; notes the shape and the sum that it got."""

    def __init__(self, change):
        super().__init__()
        self.change, self.seen = change, []

    def __deepcopy__(self, memo):
        return self  # so that the test sees what the metric's copy gets

    def forward(self, x):
        self.seen.append((tuple(x.shape), float(x.sum())))
        self.change(x)
        return x


CHANGES = [lambda x: x.mul_(2), lambda x: x.zero_(), lambda x: x.unsqueeze_(0)]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_each_pass_gets_the_same_inputs(change, mode):
    model = InPlace(change)
    one_pass = torch_pass(model, torch.ones(1, 3), CPU)
    with mode():
        for _ in range(4):
            one_pass()
    assert model.seen == [((1, 3), 3.0)] * 4


@pytest.mark.parametrize("metric", [Latency, lambda **settings: Energy(**settings)._passes])
def test_the_passes_of_a_latency_get_the_same_inputs(metric):
    model = InPlace(lambda x: x.mul_(2))
    candidate = Candidate("in place", torch.ones(1, 3), lambda: model)
    metric = metric(device="cpu", batch_size=2)
    metric.one_pass(candidate, CPU)()
    assert set(model.seen) == {((2, 3), 6.0)}


def test_inputs_that_stay_are_not_copied():
    seen = []
    given = {"x": torch.ones(1, 3)}
    one_pass = torch_pass(lambda x: seen.append(x), given, CPU)
    for _ in range(3):
        one_pass()
    assert all(x is given["x"] for x in seen)


@torch.inference_mode()
def test_inputs_of_inference_mode_can_be_timed():
    assert torch_pass(nn.Identity(), torch.ones(1, 3), CPU)() > 0
