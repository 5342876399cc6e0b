"""Latency: settings, statistics with a simulated clock, other runtimes, other devices."""

import random
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import TWO_INPUTS, TwoInputs
from torch import nn
from torch.utils.benchmark import Timer

from optnas.candidate import Candidate
from optnas.devices import sharing
from optnas.errors import InputError
from optnas.metrics import Latency, Throughput, command, timing
from optnas.metrics.command import milliseconds_in
from optnas.metrics.timing import time_passes
from optnas.utils.onnx_file import write_onnx

NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


class Clock:
    """Passes of given durations, on a simulated clock."""

    def __init__(self, monkeypatch, milliseconds):
        self.now = 0.0
        self.milliseconds = milliseconds
        self.passes = 0
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)

    def __call__(self):
        taken = self.milliseconds(self.now)
        self.now += taken / 1e3
        self.passes += 1
        return taken


def test_a_steady_device_is_measured_no_longer_than_needed(monkeypatch):
    clock = Clock(monkeypatch, lambda now: 1.0)
    found = time_passes(clock, target_error=0.01, max_seconds=60.0)
    assert found.median == found.p95 == pytest.approx(1.0)
    assert found.interval == pytest.approx((1.0, 1.0))
    assert timing.SPREAD_SECONDS <= found.passes / 1e3 < timing.SPREAD_SECONDS + 0.1


def test_a_disturbed_device_takes_the_whole_time_and_has_a_wide_interval(monkeypatch):
    """Disturbances of 50 ms: consecutive passes agree to 0.1 %, and yet are off by 5 %."""
    rng = random.Random(0)
    disturbances = {}

    def taken(now):
        factor = disturbances.setdefault(int(now * 20), rng.choice([0.95, 1.0, 1.05]))
        return factor + rng.uniform(-0.001, 0.001)

    found = time_passes(Clock(monkeypatch, taken), target_error=0.01, max_seconds=1.0)
    assert found.passes >= 900
    low, high = found.interval
    assert low < 0.95 < 1.05 < high
    assert found.p95 > 1.04


def test_the_interval_covers_measurements_at_other_times(monkeypatch):
    """Disturbances may last ten times longer than a measurement, as on shared machines."""
    rng = np.random.default_rng(0)
    steps = {scale: rng.normal(0, 0.01, 200_000) for scale in (0.02, 0.2, 2.0, 20.0)}

    def taken(now):
        return float(np.exp(sum(noise[int(now / scale)] for scale, noise in steps.items())))

    clock = Clock(monkeypatch, taken)
    found = []
    for _ in range(40):
        found.append(time_passes(clock, target_error=0.001, max_seconds=0.5))
        clock.now += 30.0
    middle = np.median([timing.median for timing in found])
    held = np.mean([low <= middle <= high for low, high in (t.interval for t in found)])
    assert 0.8 <= held <= 1.0


def test_slow_first_passes_are_not_counted(monkeypatch):
    clock = Clock(monkeypatch, lambda now: 1.0 if now > 0.2 else 3.0 - 10 * now)
    assert time_passes(clock, 0.01, 1.0).p95 == pytest.approx(1.0)


def test_a_slow_network_is_timed_in_five_passes(monkeypatch):
    clock = Clock(monkeypatch, lambda now: 2000.0)
    found = time_passes(clock, 0.01, 0.5)
    assert found.passes == timing.MIN_BLOCKS
    assert clock.passes <= timing.MIN_BLOCKS + 1


def test_latency_keeps_its_settings_and_details():
    metric = Latency(batch_size=4, label="batch4", max_seconds=0.01)
    assert metric.name == "latency_ms.batch4"
    assert metric.on("cpu").device == "cpu"
    assert Latency(device="cpu").on("cuda").device == "cpu"
    assert Throughput(metric).name == "throughput.batch4"
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
    assert detail["passes"] >= timing.MIN_BLOCKS
    assert detail["alone"] is True
    low, high = detail["interval"]
    assert low <= value <= min(high, detail["p95"])
    fingerprint = metric.on("cpu").fingerprint
    assert {"device_name", "threads", "batch_size", "dtype", "runtime", "torch"} <= set(fingerprint)
    assert metric.on("cpu").fingerprint != Latency("cpu", dtype="bfloat16").fingerprint


def test_threads_are_set_only_around_the_measurement():
    seen = []

    class Recorder(nn.Module):
        def forward(self, x):
            seen.append(torch.get_num_threads())
            return x

    Latency("cpu", threads=2, max_seconds=0.01).measure(Candidate("", torch.zeros(1), Recorder))
    assert set(seen) == {2}
    assert torch.get_num_threads() == 1


def test_types_and_layout_reach_the_network():
    seen = []

    class Recorder(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3)

        def forward(self, x, index):
            last = x.is_contiguous(memory_format=torch.channels_last)
            seen.append((x.dtype, index.dtype, self.conv.weight.dtype, last))
            return self.conv(x)

    inputs = (torch.zeros(1, 2, 8, 8), torch.zeros(1, dtype=torch.long))
    metric = Latency("cpu", dtype="bfloat16", channels_last=True, max_seconds=0.01)
    metric.measure(Candidate("", inputs, Recorder))
    assert set(seen) == {(torch.bfloat16, torch.int64, torch.bfloat16, True)}


class Spectral(nn.Module):
    """A product with complex weights, as in a Fourier neural operator."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(9, dtype=torch.cfloat))
        self.register_buffer("phase", torch.ones(9, dtype=torch.cdouble))
        self.layer = nn.Linear(16, 16)

    def forward(self, x):
        self.seen.append((self.weight.dtype, self.phase.dtype, self.layer.weight.dtype, x.dtype))
        return self.layer(torch.fft.irfft(torch.fft.rfft(x.float()) * self.weight).to(x.dtype))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_complex_weights_stay_complex(dtype, monkeypatch):
    monkeypatch.setattr(Spectral, "seen", [], raising=False)
    metric = Latency("cpu", dtype=dtype, max_seconds=0.01)
    assert metric.measure(Candidate("", torch.zeros(1, 16), Spectral)) > 0
    real = getattr(torch, dtype)
    assert set(Spectral.seen) == {(torch.complex64, torch.complex128, real, real)}


def test_inputs_by_name_are_timed_in_both_runtimes():
    for inputs in TWO_INPUTS:
        for runtime in ("torch", "onnxruntime"):
            metric = Latency("cpu", runtime=runtime, max_seconds=0.01)
            assert metric.measure(Candidate("", inputs, TwoInputs)) > 0


def test_a_training_that_does_not_release_the_device_is_noted(monkeypatch):
    monkeypatch.setattr(sharing, "PATIENCE", 0.01)
    candidate = Candidate("", torch.zeros(1, 3), nn.Identity)
    with sharing.Sharing(torch.device("cpu")):
        Latency("cpu", max_seconds=0.01).measure(candidate)
    assert candidate.details["latency_ms"]["alone"] is False


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"batch_size": "32"}, "got '32'"),
        ({"threads": 0}, "threads must be a whole number of at least 1, got 0"),
        ({"device": "gpu"}, "unknown device"),
        ({"dtype": "int4"}, "dtype must be one of float32, bfloat16, float16, int8, got 'int4'"),
        ({"runtime": "tensorrt"}, "runtime must be one of torch, onnxruntime"),
        ({"target_error": 0.0}, "target_error must lie between"),
        ({"max_seconds": -1.0}, "max_seconds above 0"),
        ({"runtime": "onnxruntime", "compile": True}, "takes no compile"),
        ({"runtime": "onnxruntime", "dtype": "float16"}, "no dtype but int8"),
        ({"dtype": "int8"}, "dtype='int8' needs runtime='onnxruntime'"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Latency(**settings)


def test_more_threads_than_cpus_are_refused():
    metric = Latency("cpu", threads=100_000)
    with pytest.raises(InputError, match="threads=100000, but this machine has"):
        metric.measure(Candidate("", torch.zeros(1), nn.Identity))


def test_latency_refuses_devices_that_are_not_there():
    with pytest.raises(InputError, match="isn't on this machine"):
        Latency(device="cuda:99").measure(Candidate("", torch.zeros(1), nn.Identity))


def test_a_missing_onnx_runtime_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"pip install 'optnas\[onnx\]'"):
        Latency("cpu", runtime="onnxruntime").measure(Candidate("", torch.zeros(1), nn.Identity))
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InputError, match=r"pip install 'optnas\[onnx\]'"):
        write_onnx(nn.Identity(), torch.zeros(1), Path("model.onnx"))


PROGRAM = """
import sys
import onnx
model = onnx.load(sys.argv[1])
onnx.checker.check_model(model)
print("loaded", sys.argv[1])
print(len(model.graph.node) + float(sys.argv[2]))
"""


def on_board(tmp_path, program=PROGRAM, words="0.5", **settings):
    path = tmp_path / "on_device.py"
    path.write_text(program)
    return Latency.command(f"{sys.executable} {path} {{onnx}} {words}", label="board", **settings)


def test_a_program_measures_an_onnx_file(tmp_path):
    metric = on_board(tmp_path)
    assert metric.name == "latency_ms.board"
    candidate = Candidate("", torch.zeros(1, 3), lambda: nn.Linear(3, 2))
    assert metric.measure(candidate) == 1.5  # one Gemm
    assert metric.fingerprint["command"].endswith("{onnx} 0.5")
    assert not metric.exact


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("1.25", 1.25),
        ('{"latency_ms": 1.25, "runs": 3}', 1.25),
        ("latency_ms=1.25", 1.25),
        ("runs: 3, latency_ms: 1.25, throughput_latency_ms=7", 1.25),
        ("runs=3 latency_ms = 1.25; p95=2", 1.25),
        ('{"latency_ms": "1.25"}', 1.25),
        ('{"p95": 1.25}', 0.0),
        ('{"latency_ms": [1.25]}', 0.0),
        ("latency_ms=fast", 0.0),
        ("p95=1.25", 0.0),
        ("true", 0.0),
    ],
)
def test_a_program_prints_a_number_json_or_a_name_with_a_number(line, found):
    assert milliseconds_in(line) == found


@pytest.mark.parametrize(
    ("program", "error", "message"),
    [
        ("print('fast')", InputError, "must be a number of milliseconds.* got 'fast'"),
        ("print(-1)", InputError, "got '-1'"),
        ("print('nan')", InputError, "got 'nan'"),
        ("pass", InputError, "got ''"),
        ("import os; os.write(1, bytes([255]))", InputError, "must be a number"),
        ("raise SystemExit('no board')", RuntimeError, "ended with 1: no board"),
        ("while True: pass", RuntimeError, "took over 0.5 s"),
    ],
)
def test_a_failing_program_is_reported(tmp_path, monkeypatch, program, error, message):
    monkeypatch.setattr(command, "write_onnx", lambda model, inputs, path: path.touch())
    metric = on_board(tmp_path, program, timeout=0.5 if "while" in program else 300.0)
    with pytest.raises(error, match=message):
        metric.measure(Candidate("", torch.zeros(1, 3), lambda: nn.Linear(3, 2)))


def test_a_missing_program_is_reported(monkeypatch):
    monkeypatch.setattr(command, "write_onnx", lambda model, inputs, path: path.touch())
    with pytest.raises(InputError, match=r"can't run '\./on_device'"):
        Latency.command("./on_device {onnx}").measure(
            Candidate("", torch.zeros(1, 3), lambda: nn.Linear(3, 2))
        )
    with pytest.raises(ValueError, match="must hold"):
        Latency.command("./on_device")
    with pytest.raises(ValueError, match="batch_size must be"):
        Latency.command("./on_device {onnx}", batch_size=0)


def test_counting_imports_no_compiler():
    """The compiler's import takes a second, which a search without it saves."""
    import subprocess

    code = (
        "import sys, torch, optnas\n"
        "from optnas.metrics.counting import count_macs\n"
        "from optnas.metrics.memory import trace_memory\n"
        "count_macs(torch.nn.Linear(2, 2), torch.zeros(1, 2))\n"
        "trace_memory(torch.nn.Linear(2, 2), torch.zeros(1, 2))\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_compiler_is_reset_for_each_network(monkeypatch):
    """After eight networks with the same code it would fall back to eager code."""
    calls = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: calls.append("reset"))
    monkeypatch.setattr(torch, "compile", lambda model: calls.append("compile") or model)
    for _ in range(2):
        candidate = Candidate("", torch.zeros(1, 8), lambda: nn.Linear(8, 8))
        Latency("cpu", compile=True, max_seconds=0.01).measure(candidate)
    assert calls == ["reset", "compile"] * 2


def test_channels_last_changes_only_images():
    model = nn.Sequential(nn.Conv3d(1, 2, 3), nn.Flatten())
    metric = Latency("cpu", channels_last=True, max_seconds=0.01)
    assert metric.measure(Candidate("", torch.zeros(1, 1, 4, 4, 4), lambda: model)) > 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own deprecations
@pytest.mark.filterwarnings("ignore:TensorFloat32")  # its advice to be less exact
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NEEDS_CUDA)])
def test_a_compiled_network_is_timed(device):
    # Without the trial compilations that find out which vector instructions there are.
    plain = {"compile_threads": 1, "cpp.vec_isa_ok": False, "cpp_cache_precompile_headers": False}
    candidate = Candidate("", torch.zeros(1, 8), lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU()))
    with torch._inductor.config.patch(plain):
        assert Latency(device, compile=True, max_seconds=0.05).measure(candidate) > 0


@pytest.mark.exclusive
@NEEDS_CUDA
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_pass_on_a_gpu_takes_as_long_as_the_clock_says(dtype):
    """The network takes milliseconds, so that the overhead of a pass doesn't matter."""
    model = nn.Sequential(*(nn.Conv2d(256, 256, 3, padding=1) for _ in range(8)))
    candidate = Candidate("", torch.randn(1, 256, 64, 64), lambda: model)
    metric = Latency("cuda", batch_size=64, dtype=dtype, channels_last=True, max_seconds=0.2)
    x = candidate.example_inputs.repeat_interleave(64, dim=0).to("cuda", getattr(torch, dtype))
    model = candidate.to_measure().to("cuda", x.dtype, memory_format=torch.channels_last)
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        timer = Timer("model(x); torch.cuda.synchronize()", globals={"model": model, "x": x})
        expected = timer.blocked_autorange(min_run_time=0.2).median
    assert metric.measure(candidate) == pytest.approx(1e3 * expected, rel=0.3)


@NEEDS_CUDA
def test_a_gpu_is_named_by_its_card_and_driver():
    candidate = Candidate("", torch.zeros(1, 8), lambda: nn.Linear(8, 8))
    assert Latency("cuda", max_seconds=0.05).measure(candidate) > 0
    assert {"uuid", "alone", "passes"} <= set(candidate.details["latency_ms"])
    assert Latency("cuda").fingerprint["device_name"] == torch.cuda.get_device_name()
