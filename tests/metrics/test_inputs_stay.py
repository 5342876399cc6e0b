"""A network that changes its inputs in place changes no one else's."""

import pytest
import torch
from torch import nn

import optnas
from optnas.candidate import Candidate, materialize
from optnas.metrics import Int8Flash, Int8Size, Latency, Macs, PeakMemory, ZeroCost
from optnas.metrics.counting import count_modules, count_pass
from optnas.metrics.thop_check import check_with_thop


class Shifted(nn.Module):
    """Makes room for a token of its own, in place."""

    def __init__(self, layer=nn.Linear):
        super().__init__()
        self.embedding = nn.Embedding(12, 4)
        self.layer = nn.Linear(4, 2) if layer is nn.Linear else layer(2)

    def forward(self, ids):
        ids += 1
        return self.layer(self.embedding(ids).mean(1))


@pytest.fixture
def ids():
    return torch.tensor([[3, 10]])  # a second pass over the same tensor has no embedding for 12


@pytest.mark.parametrize(
    "metric", [Macs(), PeakMemory(), Int8Flash(), Int8Size(), ZeroCost("synflow"),
               ZeroCost("grad_norm")],
    ids=lambda metric: metric.name,
)  # fmt: skip
def test_metrics_leave_the_example_as_it_is(metric, ids):
    candidate = Candidate("", ids, Shifted)
    first = metric.measure(candidate)
    assert ids.tolist() == [[3, 10]]
    assert metric.measure(Candidate("", ids, Shifted)) == first


def test_a_latency_leaves_the_example_as_it_is(ids):
    candidate = Candidate("", ids, Shifted)
    assert Latency(device="cpu", max_seconds=0.01).measure(candidate) > 0
    assert ids.tolist() == [[3, 10]]


def test_counting_leaves_the_inputs_as_they_are(ids):
    model = Shifted().eval()
    assert count_pass(model, ids) == count_pass(model, ids) == (8, ())
    assert count_modules(model, ids)["layer"].macs == 8
    assert check_with_thop(model, ids).macs_thop == 8
    assert check_with_thop(model, {"ids": ids}).error == ""
    assert ids.tolist() == [[3, 10]]


def test_a_lazy_network_takes_its_shapes_from_a_copy(ids):
    model = Shifted(nn.LazyLinear)
    materialize(model, ids)
    assert model.layer.in_features == 4
    assert ids.tolist() == [[3, 10]]


def test_each_trial_of_a_space_sees_the_same_example(ids):
    space = optnas.FunctionSpace(lambda trial: Shifted(), ids)
    for i in range(3):
        assert Macs().measure(Candidate(i, space.example_inputs, Shifted)) == 8
