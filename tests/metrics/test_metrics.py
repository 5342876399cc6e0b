"""Metrics: their contract, their settings, and how an objective uses them."""

import pytest
import torch
from torch import nn

import optnas
from optnas.candidate import Candidate
from optnas.cli.front_table import front_table
from optnas.errors import InputError
from optnas.metrics import (
    Flops,
    FunctionMetric,
    Latency,
    Macs,
    ModelSize,
    Params,
    PeakActivation,
    PeakMemory,
    Throughput,
    TrainableParams,
    standard_metrics,
)
from optnas.testing import MetricContract

SHORT = Latency(device="cpu", max_seconds=0.05)


class TestParams(MetricContract):
    metric = Params()


class TestTrainableParams(MetricContract):
    metric = TrainableParams()


class TestModelSize(MetricContract):
    metric = ModelSize()


@pytest.mark.slow
class TestInt8Size(MetricContract):
    metric = optnas.metrics.Int8Size()


class TestMacs(MetricContract):
    metric = Macs()


class TestFlops(MetricContract):
    metric = Flops()


class TestPeakMemory(MetricContract):
    metric = PeakMemory()


class TestPeakActivation(MetricContract):
    metric = PeakActivation()


@pytest.mark.exclusive
class TestLatency(MetricContract):
    metric = SHORT


@pytest.mark.exclusive
class TestThroughput(MetricContract):
    metric = Throughput(SHORT)
    grows = False


@pytest.mark.exclusive
class TestLatencyOfSeveral(MetricContract):
    metric = Latency(
        "cpu", batch_size=2, dtype="bfloat16", channels_last=True, max_seconds=0.05, label="bf16"
    )


@pytest.mark.exclusive
class TestLatencyInOnnxRuntime(MetricContract):
    metric = Latency("cpu", runtime="onnxruntime", max_seconds=0.05)


class TestFunctionMetric(MetricContract):
    metric = FunctionMetric(
        "weights", lambda c: sum(p.numel() for p in c.model.parameters()), exact=True
    )


@pytest.mark.exclusive
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
class TestLatencyOnCuda(MetricContract):
    # Enough examples that the GPU computes for longer than the CPU takes to launch the kernels.
    metric = Latency(device="cuda", batch_size=512, max_seconds=0.05)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
class TestCudaPeakMemory(MetricContract):
    @property
    def metric(self):
        return optnas.metrics.CudaPeakMemory()


def test_params_count_tied_ones_once_directly_held_ones_too_and_buffers_never():
    class Held(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(7))
            self.layers = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.BatchNorm1d(4))
            self.layers[1].weight = self.layers[0].weight
            self.register_buffer("table", torch.zeros(100))

        def forward(self, x):
            return self.layers(x)

    candidate = Candidate("", torch.zeros(1, 4), Held)
    assert Params().measure(candidate) == 7 + 16 + 4 + 4 + 8
    buffers = 4 * (100 + 4 + 4) + 8  # running mean and variance, and an int64 counter
    assert ModelSize().measure(candidate) == (4 * 39 + buffers) / 1e6


def test_trainable_params_leave_frozen_ones_out():
    layer = nn.Linear(4, 3)
    layer.weight.requires_grad_(False)
    tied = nn.Sequential(layer, nn.Linear(3, 3), layer)
    candidate = Candidate("", torch.zeros(1, 4), lambda: tied)
    assert Params().measure(candidate) == 12 + 3 + 12
    assert TrainableParams().measure(candidate) == 3 + 12


def test_the_standard_metrics_are_ordered_by_their_cost(space, evaluator):
    names = [metric.name for metric in standard_metrics()]
    objective = optnas.Objective(space, evaluator, ("loss", *reversed(names)))
    assert [m.name for m in objective.metrics] == [
        "flops",
        "macs",
        "model_size_mb",
        "params",
        "trainable_params",
        "expressivity",
        "flash_kib.int8",
        "grad_norm",
        "naswot",
        "peak_activation_kib.int8",
        "peak_activation_mb",
        "peak_memory_mb",
        "progressivity",
        "snip",
        "synflow",
        "trainability",
        "energy_j",
        "latency_ms",
        "latency_ms.int8",
        "model_size_mb.int8",
        "throughput",
    ]
    directions = dict(zip(objective.objectives, objective.directions, strict=True))
    assert directions["throughput"] == directions["synflow"] == "maximize"
    assert directions["latency_ms"] == directions["flops"] == "minimize"


def test_a_function_is_a_metric():
    metric = FunctionMetric("depth", lambda c: len(list(c.model.children())), "maximize")
    candidate = Candidate("", torch.zeros(1, 2), lambda: nn.Sequential(nn.ReLU(), nn.ReLU()))
    assert metric.measure(candidate) == 2.0
    assert metric.direction == "maximize"
    other = FunctionMetric("depth", lambda c: 1.0)
    assert metric.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FunctionMetric("", len), "name must be"),
        (lambda: FunctionMetric("a", len, "up"), "direction must be"),
        (lambda: FunctionMetric("a", 3), "must be a function"),
        (lambda: optnas.metrics.CudaPeakMemory("cpu"), "device must be cuda"),
        (lambda: optnas.metrics.CudaPeakMemory("cuda", 0), "at least 1"),
    ],
)
def test_wrong_settings_are_refused(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_two_metrics_of_one_name_are_refused(space, evaluator):
    with pytest.raises(ValueError, match="two metrics are called 'latency_ms': give one of them"):
        optnas.Objective(space, evaluator, ("loss",), metrics=[Latency(), Latency(batch_size=8)])


@pytest.mark.parametrize("value", ["many", None])
def test_a_metric_that_does_not_return_a_number_stops_the_run(space, evaluator, value):
    metric = FunctionMetric("odd", lambda c: value)
    search = optnas.Search(
        space=space, evaluator=evaluator, objectives=("loss", "odd"), metrics=[metric], trials=1
    )
    with pytest.raises(InputError, match="the metric odd must return a number, got"):
        search.run(progress=False)


def test_other_objects_and_names_of_scores_are_refused_as_metrics(space, evaluator):
    with pytest.raises(TypeError, match=r"FunctionMetric\(name, function\) makes one"):
        optnas.Objective(space, evaluator, ("loss",), metrics=[len])
    taken = FunctionMetric("loss", len)
    with pytest.raises(ValueError, match="a score of the evaluator are called 'loss'"):
        optnas.Objective(space, evaluator, ("loss",), metrics=[taken])
    with pytest.raises(TypeError, match="constraints must be bounds by name"):
        optnas.Objective(space, evaluator, ("loss",), constraints=["params"])


def test_a_metric_that_is_no_objective_is_measured_and_shown(space, evaluator):
    search = optnas.Search(
        space=space,
        evaluator=evaluator,
        objectives=("loss", "params"),
        metrics=[FunctionMetric("depth", lambda c: len(list(c.model)))],
        trials=2,
        sampler="random",
    )
    study = search.run(progress=False)
    assert all(t.user_attrs["depth"] >= 2 for t in study.trials)
    assert "depth" in [column.header for column in front_table(study).columns]


@pytest.mark.parametrize("metric", ["flops", "latency_ms", "peak_memory_mb"])
def test_an_error_of_the_network_says_with_which_inputs_it_was_called(metric):
    inputs = {"input": torch.zeros(1, 7), "label": torch.zeros(1)}
    with pytest.raises(TypeError) as caught:
        optnas.measure(nn.Linear(7, 3), inputs, (metric,))
    assert "of the shapes input (1, 7), label (1,). They are what" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError) as caught:
        optnas.measure(nn.Linear(7, 3), torch.zeros(1, 8), (metric,))
    assert "of the shapes (1, 8). They" in caught.value.__notes__[0]
