"""Inputs without a batch dimension: a time step, the nodes and edges of a graph."""

import math

import pytest
import torch
from networks import A_GRAPH, AT_A_TIME, AtATime, OfAGraph
from torch import nn

import optnas
from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.metrics import profile, standard_metrics
from optnas.metrics.zero_cost import OF_BLOCKS, zero_cost
from optnas.utils.inputs import batch_of, call
from optnas.utils.network import Network
from optnas.utils.tracing import trace

FAST = 0.01
OTHERS = ("latency_ms", "throughput", "energy_j", "naswot", *OF_BLOCKS)
METRICS = [metric for metric in standard_metrics() if metric.name not in OTHERS]


def test_a_time_step_is_shared_by_all_examples_of_a_batch():
    candidate = Candidate("", AT_A_TIME, AtATime)
    assert all(math.isfinite(metric.measure(candidate)) for metric in METRICS)
    for runtime in ("torch", "onnxruntime"):
        latency = optnas.Latency(batch_size=4, max_seconds=FAST, runtime=runtime, device="cpu")
        assert latency.measure(candidate) > 0
    proxies = zero_cost(candidate)  # naswot needs more units than there are examples
    assert all(math.isfinite(value) for name, value in proxies.items() if name != "naswot")


@pytest.mark.parametrize("inputs", [AT_A_TIME, dict(zip("xt", AT_A_TIME, strict=True))])
def test_a_network_at_a_time_is_traced_for_any_batch(inputs):
    program = trace(Network(AtATime().eval(), inputs)).module()
    assert call(program, batch_of(inputs, 5)).shape == (5, 8)


def test_a_graph_is_measured_as_it_is_and_never_as_another_one():
    candidate = Candidate("", A_GRAPH, OfAGraph)
    assert optnas.Macs().measure(candidate) == 10 * 8 * 8
    assert optnas.Latency(max_seconds=FAST, device="cpu").measure(candidate) > 0
    assert 64e-6 < optnas.metrics.Int8Size().measure(candidate) < 4000e-6
    several = optnas.Latency(batch_size=4, max_seconds=FAST, device="cpu")
    for metric in (several, optnas.ZeroCost("grad_norm"), optnas.ZeroCost("naswot")):
        with pytest.raises(InputError, match=r"shape \(10, 8\), whose first dimension isn't"):
            metric.measure(candidate)
    found = zero_cost(candidate)  # what the predictor reads: unknown instead of an error
    assert math.isnan(found["grad_norm"])
    assert math.isfinite(found["synflow"])
    with pytest.raises(InputError, match="take batch size 1"):
        trace(Network(OfAGraph().eval(), A_GRAPH))
    assert trace(Network(OfAGraph().eval(), A_GRAPH, batch_size=1))


def test_a_profile_gives_lazy_layers_their_shapes_and_leaves_the_network_alone():
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))
    found = profile(model, torch.zeros(1, 3, 5, 5))
    assert found.macs == 9 * 27 * 4 + 36 * 2
    assert found.params == 4 * 28 + 8 + 36 * 2 + 2
    assert isinstance(model[3], nn.LazyLinear)
    assert model.training
