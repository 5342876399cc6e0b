"""Networks that differentiate inside of their forward, and all others."""

import pytest
import torch
from torch import nn

from optnas.candidate import Candidate
from optnas.devices.energy import EnergyCounter
from optnas.metrics import CudaPeakMemory, Energy, Latency, energy, memory
from optnas.metrics.inference import inference

NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
X = torch.zeros(1, 4)


class Hamiltonian(nn.Module):
    """Its output is the gradient of an energy; it keeps a tensor of its first pass."""

    def __init__(self):
        super().__init__()
        self.energy, self.scale = nn.Linear(4, 1), None

    def forward(self, x):
        if self.scale is None:
            self.scale = torch.ones(4) * 2
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            return torch.autograd.grad(self.energy(x * self.scale).sum(), x)[0]


class Modes(nn.Module):
    """Notes in which mode it runs."""

    seen = ()

    def forward(self, x):
        type(self).seen = (*self.seen, (torch.is_inference_mode_enabled(), x.is_inference()))
        return x * 2


def of(network):
    return Candidate("", X, network)


def test_a_network_that_differentiates_is_timed():
    assert Latency("cpu", max_seconds=0.01).measure(of(Hamiltonian)) > 0


def test_the_energy_of_a_network_that_differentiates_is_counted(monkeypatch):
    readings = iter(range(10**6))
    counter = EnergyCounter("made up", lambda: (next(readings),), 1.0)
    monkeypatch.setattr(energy, "energy_counter", lambda device: counter)
    monkeypatch.setattr(energy, "SHORTEST", 0.0)
    monkeypatch.setattr(energy, "WARM_UP", 0.01)
    assert Energy("cpu", seconds=0.03, loops=2).measure(of(Hamiltonian)) > 0


def test_the_peak_of_a_network_that_differentiates_is_measured(monkeypatch):
    """Without a GPU: the CPU in its place, and an allocator whose peak is 100 bytes higher."""
    monkeypatch.setattr(memory, "resolve_device", torch.device)
    monkeypatch.setattr(memory, "synchronize", lambda device: None)
    for name, value in [
        ("memory_allocated", 20),
        ("max_memory_allocated", 120),
        ("reset_peak_memory_stats", None),
    ]:
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    metric = CudaPeakMemory()
    metric._device = "cpu"
    resident = 4 * (4 + 1 + 4)  # weights, bias, input
    assert metric.measure(of(Hamiltonian)) == (100 + resident) / 1e6


@NEEDS_CUDA
def test_the_peak_of_a_network_that_differentiates_is_measured_on_a_gpu():
    assert CudaPeakMemory().measure(of(Hamiltonian)) > 0


def test_other_networks_run_in_inference_mode(monkeypatch):
    monkeypatch.setattr(Modes, "seen", ())
    Latency("cpu", max_seconds=0.01).measure(of(Modes))
    assert set(Modes.seen) == {(True, False)}


def test_a_faulty_network_raises_its_own_error_and_its_shapes():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as raised:
        Latency("cpu", max_seconds=0.01).measure(of(lambda: nn.Linear(5, 1)))
    assert "(1, 4)" in raised.value.__notes__[0]
    assert len(raised.value.__notes__) == 1
    assert raised.value.__context__ is None


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no memory"), ValueError("wrong")])
def test_what_no_mode_mends_is_tried_once(error):
    def fails():
        raise error

    def never():
        raise AssertionError("made anew")

    with pytest.raises(type(error)), inference(fails, never, X):
        pass


def test_the_block_has_the_mode_of_its_passes_and_an_error_in_it_is_raised():
    with inference(lambda: None, lambda: None, X):
        assert torch.is_inference_mode_enabled()
    calls = []
    with (
        pytest.raises(RuntimeError, match="in the block"),
        inference(lambda: calls.append(1), lambda: calls.append(2), X),
    ):
        raise RuntimeError("in the block")
    assert calls == [1]
    assert not torch.is_inference_mode_enabled()
