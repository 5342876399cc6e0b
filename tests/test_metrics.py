import pytest
import torch
from contracts import MetricContract
from torch import nn
from torch.nn import functional

from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.metrics import Flops, Latency, Macs, Params
from optnas.metrics.macs import count_macs, count_macs_thop


class TestParams(MetricContract):
    metric = Params()


class TestMacs(MetricContract):
    metric = Macs()


class TestFlops(MetricContract):
    metric = Flops()


class TestLatency(MetricContract):
    metric = Latency(device="cpu", warmup_seconds=0.01, max_seconds=0.05)


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(8, 3, 3, 3))

    def forward(self, x):
        return functional.conv2d(x, self.weight, padding=1)


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)[0]


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 5)

    def forward(self, x):
        return self.layer(self.layer(x))


IMAGE, SEQUENCE = torch.zeros(1, 3, 16, 16), torch.zeros(1, 10, 16)


@pytest.mark.parametrize(
    ("model", "inputs", "macs"),
    [
        (nn.Linear(7, 3), torch.zeros(1, 7), 21),
        (nn.Conv2d(3, 8, 3, padding=1), IMAGE, 256 * 27 * 8),
        (nn.Conv2d(3, 6, 3, padding=1, groups=3), IMAGE, 256 * 9 * 6),
        (nn.ConvTranspose2d(3, 8, 2, 2), IMAGE, 256 * 3 * 8 * 4),
        (Functional(), IMAGE, 256 * 27 * 8),
        (Twice(), torch.zeros(1, 5), 50),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)), IMAGE, 0),
        (nn.LSTM(16, 8, batch_first=True), SEQUENCE, 10 * 4 * (16 * 8 + 8 * 8)),
        (nn.GRU(16, 8, batch_first=True), SEQUENCE, 10 * 3 * (16 * 8 + 8 * 8)),
        (SelfAttention(), SEQUENCE, 4 * 10 * 16 * 16 + 2 * 10 * 10 * 16),
        (
            nn.TransformerEncoderLayer(16, 4, 32, batch_first=True),
            SEQUENCE,
            4 * 10 * 16 * 16 + 2 * 10 * 10 * 16 + 2 * 10 * 16 * 32,
        ),
    ],
)
def test_macs_equal_the_closed_form(model, inputs, macs):
    assert count_macs(model, inputs) == macs


def test_counting_puts_the_backends_back():
    before = torch.backends.mha.get_fastpath_enabled(), torch._C._get_mkldnn_enabled()
    with pytest.raises(RuntimeError):
        count_macs(nn.Linear(7, 3), torch.zeros(1, 8))
    assert before == (torch.backends.mha.get_fastpath_enabled(), torch._C._get_mkldnn_enabled())


def test_flops_are_twice_the_macs_and_thop_stands_beside():
    candidate = Candidate("", IMAGE, lambda: nn.Conv2d(3, 8, 3, padding=1))
    assert Flops().measure(candidate) == 2 * Macs().measure(candidate) == 2 * 256 * 27 * 8
    assert candidate.details["macs"]["macs_thop"] == 256 * 27 * 8


def test_thop_is_asked_only_for_what_it_can():
    class Named(nn.Module):
        def forward(self, a):
            return a

    assert count_macs_thop(Named(), {"a": torch.zeros(1, 2)}) is None
    assert count_macs_thop(nn.Linear(3, 2), torch.zeros(1, 3)) == 6


def test_params_count_tied_ones_once_and_buffers_never():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.BatchNorm1d(4))
    model[1].weight = model[0].weight
    assert Params().measure(Candidate("", torch.zeros(1, 4), lambda: model)) == 16 + 4 + 4 + 8


def test_inputs_come_in_three_forms():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, a, b):
            return self.layer(a) + b

    a, b = torch.zeros(1, 3), torch.zeros(1, 2)
    assert count_macs(Two(), (a, b)) == count_macs(Two(), {"a": a, "b": b}) == 6
    latency = Latency(device="cpu", warmup_seconds=0, max_seconds=0.01)
    assert latency.measure(Candidate("", {"a": a, "b": b}, Two)) > 0


def test_latency_keeps_its_settings_and_details():
    metric = Latency(batch_size=4, label="batch4", warmup_seconds=0, max_seconds=0.01)
    assert metric.name == "latency_ms.batch4"
    assert metric.on("cpu").device == "cpu"
    assert Latency(device="cpu").on("cuda").device == "cpu"
    shapes = []

    class Recorder(nn.Module):
        def forward(self, x):
            shapes.append(
                (tuple(x.shape), torch.get_num_threads(), torch.is_inference_mode_enabled())
            )
            return x

    candidate = Candidate("", torch.zeros(1, 3), Recorder)
    value = metric.on("cpu").measure(candidate)
    assert set(shapes) == {((4, 3), 1, True)}
    detail = candidate.details["latency_ms.batch4"]
    assert detail["passes"] >= 10
    assert value <= detail["p95"]
    assert {"device_name", "threads", "batch_size", "torch"} <= set(metric.on("cpu").fingerprint)


def test_latency_refuses_devices_that_are_not_there():
    with pytest.raises(InputError, match="isn't on this machine"):
        Latency(device="cuda:99").measure(Candidate("", torch.zeros(1), nn.Identity))
    with pytest.raises(InputError, match="unknown device"):
        Latency(device="gpu").measure(Candidate("", torch.zeros(1), nn.Identity))
    with pytest.raises(ValueError, match="at least 1"):
        Latency(batch_size=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
class TestLatencyOnCuda(MetricContract):
    metric = Latency(device="cuda", warmup_seconds=0.01, max_seconds=0.05)
