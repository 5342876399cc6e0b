"""Energy: counters in a folder of our own, on a clock of our own."""

import os
import sys
import time
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from optnas.candidate import Candidate
from optnas.devices import energy as counters
from optnas.devices.energy import EnergyCounter, energy_counter
from optnas.errors import CandidateError, InputError
from optnas.metrics import Energy, energy, timing
from optnas.testing import MetricContract

CPU = torch.device("cpu")
RANGE = 65_532_610_987
"""Microjoules after which a counter starts again, as on many machines."""


class Machine:
    """A clock and the counters of a folder, which move together."""

    def __init__(self, folder):
        self.folder = folder
        self.now = 0.0
        self.spent = {}
        self.idle = 5.0

    def domain(self, zone, name, share=1.0, begins=0, most=RANGE):
        """A domain of RAPL that takes a share of the power."""
        path = self.folder / zone
        path.mkdir()
        (path / "name").write_text(f"{name}\n")
        (path / "max_energy_range_uj").write_text(f"{most}\n")
        self.spent[path] = [begins, share, most]
        self.spend(0.0, 0.0)

    def spend(self, seconds, watts):
        self.now += seconds
        for path, domain in self.spent.items():
            domain[0] += 1e6 * watts * seconds * domain[1]
            (path / "energy_uj").write_text(f"{round(domain[0]) % domain[2]}\n")

    def sleep(self, seconds):
        self.spend(seconds, self.idle)

    def clock(self):
        return self.now

    def network(self, seconds, watts):
        """A candidate whose passes take this time and power."""

        class Spends(nn.Module):
            def forward(module, x):  # noqa: N805
                self.spend(seconds, watts)
                return x

        # A copy of the network has the same machine.
        Spends.__deepcopy__ = lambda module, memo: module
        return Candidate("", torch.zeros(1, 3), Spends)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    found = Machine(tmp_path)
    clock = SimpleNamespace(perf_counter=found.clock, monotonic=found.clock, sleep=found.sleep)
    for module in (counters, energy, timing):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(counters, "POWERCAP", tmp_path)
    monkeypatch.setattr(counters, "STILL", 0.05)
    monkeypatch.setattr(energy, "NAP", 0.1)
    return found


class TestEnergy(MetricContract):
    """On a machine that takes 15 W for this process alone, in loops that are short."""

    metric = Energy("cpu")

    @pytest.fixture(autouse=True)
    def _short(self, monkeypatch):
        counter = EnergyCounter("made up", lambda: (int(15e6 * time.process_time()),), 1e-6)
        monkeypatch.setattr(energy, "energy_counter", lambda device: counter)
        monkeypatch.setattr(energy, "SHORTEST", 0.0)
        monkeypatch.setattr(energy, "WARM_UP", 0.01)
        monkeypatch.setattr(type(self), "metric", Energy("cpu", seconds=0.03, loops=2))


def test_a_known_power_gives_the_energy_of_a_pass(machine):
    machine.domain("intel-rapl:0", "package-0")
    candidate = machine.network(0.1, 20.0)
    assert Energy("cpu").measure(candidate) == pytest.approx(2.0, rel=1e-9)
    detail = candidate.details["energy_j"]
    assert detail["interval"] == pytest.approx([2.0, 2.0], rel=1e-6)
    assert detail["watts"] == pytest.approx(20.0)
    assert 3 * 20 <= detail["passes"] <= 3 * 22
    assert "idle_watts" not in detail
    assert detail["alone"] in (True, False)


def test_idle_power_is_subtracted_if_asked_for(machine):
    machine.domain("intel-rapl:0", "package-0")
    candidate = machine.network(0.1, 20.0)
    metric = Energy("cpu", subtract_idle=True, label="net")
    assert metric.measure(candidate) == pytest.approx((20.0 - 5.0) * 0.1, rel=1e-9)
    assert candidate.details["energy_j.net"]["idle_watts"] == pytest.approx(5.0)
    assert metric.fingerprint["subtract_idle"] is True
    assert metric.fingerprint != Energy("cpu").fingerprint
    machine.idle = 30.0
    with pytest.raises(CandidateError, match=r"no more power .* idle \(30 W\)"):
        metric.measure(candidate)


def test_a_batch_is_as_many_inferences(machine):
    machine.domain("intel-rapl:0", "package-0")
    measured = Energy("cpu", batch_size=8).measure(machine.network(0.1, 20.0))
    assert measured == pytest.approx(0.25, rel=1e-9)


def test_a_counter_that_starts_again_is_followed(machine):
    machine.domain("intel-rapl:0", "package-0", begins=RANGE - 50_000_000)
    whole = Energy("cpu").measure(machine.network(0.1, 20.0))
    assert machine.spent[machine.folder / "intel-rapl:0"][0] > RANGE
    assert whole == pytest.approx(2.0, rel=1e-9)


def test_packages_are_added_up_and_their_parts_are_not(machine):
    """Two sockets; their cores and memory, the whole laptop, and the second way to a counter."""
    machine.domain("intel-rapl:0", "package-0")
    machine.domain("intel-rapl:0:0", "core", 0.7)
    machine.domain("intel-rapl:0:1", "dram", 0.2)
    machine.domain("intel-rapl:1", "package-1", 0.5)
    machine.domain("intel-rapl:1:0", "core", 0.3)
    machine.domain("intel-rapl:2", "psys", 2.0)
    machine.domain("intel-rapl-mmio:0", "package-0")
    counter = energy_counter(CPU)
    assert counter.source == "RAPL package-0 + package-1"
    before = counter.read()
    machine.spend(1.0, 40.0)
    assert counter.joules(before, counter.read()) == pytest.approx(60.0)


def test_a_loop_in_which_a_counter_may_start_again_twice_is_refused(machine):
    machine.domain("intel-rapl:0", "package-0")
    assert energy_counter(CPU).longest == pytest.approx(65.5, abs=0.1)
    with pytest.raises(InputError, match="more than once in seconds=66: give less than 66"):
        _ = Energy("cpu", seconds=66.0).fingerprint
    with pytest.raises(CandidateError, match="a pass takes so long"):
        Energy("cpu").measure(machine.network(70.0, 20.0))


@pytest.mark.parametrize(
    "refused",
    [lambda: Energy("cpu").fingerprint, lambda: Energy("cpu").measure(None)],
    ids=["before the run", "measuring"],
)
class TestWithoutACounter:
    def test_a_machine_without_rapl_is_refused(self, machine, monkeypatch, refused):
        with pytest.raises(InputError, match="no package of RAPL"):
            refused()
        monkeypatch.setattr(counters, "POWERCAP", machine.folder / "gone")
        with pytest.raises(InputError, match="no package of RAPL"):
            refused()

    def test_folders_that_a_container_masks_are_none(self, machine, refused):
        os.symlink(machine.folder / "gone", machine.folder / "intel-rapl:0")
        machine.domain("intel-rapl:0:0", "core")
        with pytest.raises(InputError, match="most containers have none"):
            refused()

    def test_a_counter_for_root_alone_is_refused_with_what_to_do(
        self, machine, monkeypatch, refused
    ):
        machine.domain("intel-rapl:0", "package-0")
        read = counters.Path.read_text

        def denied(path, *args, **settings):
            if path.name == "energy_uj":
                raise PermissionError(13, "Permission denied")
            return read(path, *args, **settings)

        monkeypatch.setattr(counters.Path, "read_text", denied)
        with pytest.raises(InputError, match=r"for root alone.*sudo chmod a\+r .*sysfs\.conf"):
            refused()

    def test_a_counter_that_stands_still_is_refused(self, machine, refused):
        machine.idle = 0.0
        machine.domain("intel-rapl:0", "package-0", begins=123)
        with pytest.raises(InputError, match="stands still, as in a virtual machine"):
            refused()

    def test_a_file_that_holds_no_number_is_refused(self, machine, refused):
        machine.domain("intel-rapl:0", "package-0")
        (machine.folder / "intel-rapl:0" / "max_energy_range_uj").write_text("?\n")
        with pytest.raises(InputError, match="holds '\\?', which is no counter"):
            refused()


def test_a_counter_that_stops_in_the_middle_is_refused(machine):
    machine.domain("intel-rapl:0", "package-0")
    with pytest.raises(InputError, match="stands still"):
        Energy("cpu").measure(machine.network(0.5, 0.0))


def test_the_loop_waits_for_a_counter_that_moves_ten_times_a_second(monkeypatch):
    """Passes of 30 ms: without waiting, 2 s are 2.0 or 2.1 s of the counter, 5 % apart."""
    machine = Machine(None)
    clock = SimpleNamespace(perf_counter=machine.clock, monotonic=machine.clock, sleep=None)
    for module in (energy, timing):
        monkeypatch.setattr(module, "time", clock)
    slow = EnergyCounter("slow", lambda: (int(machine.now * 10) * 30_000,), 1e-3)  # 300 W
    monkeypatch.setattr(energy, "energy_counter", lambda device: slow)
    assert Energy("cpu", loops=8).measure(machine.network(0.03, 0.0)) == pytest.approx(
        9.0, rel=0.01
    )


class FakeNvml:
    """What of the package nvidia-ml-py is used, with a card of 250 W on a machine's clock."""

    class NVMLError(Exception):
        pass

    def __init__(self, machine):
        self.machine = machine

    def nvmlInit(self):  # noqa: N802
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid):  # noqa: N802
        if uuid != "GPU-1a2b":
            raise self.NVMLError("Not Found")
        return "handle"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):  # noqa: N802
        assert handle == "handle"
        return int(250e3 * self.machine.now)


@pytest.fixture
def card(machine, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(machine))
    properties = SimpleNamespace(uuid="1a2b")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    return properties


def test_nvml_counts_the_energy_of_a_gpu(machine, card, monkeypatch):
    gpu = energy_counter(torch.device("cuda", 0))
    assert gpu.source == "NVML's total energy"
    monkeypatch.setattr(energy, "energy_counter", lambda device: gpu)
    candidate = machine.network(0.1, 0.0)
    assert Energy("cpu").measure(candidate) == pytest.approx(25.0, rel=1e-6)
    assert Energy("cpu", seconds=3600.0).fingerprint["counter"] == gpu.source


def test_a_gpu_that_nvml_does_not_count_is_refused(machine, card, monkeypatch):
    card.uuid = "9f9f"
    with pytest.raises(InputError, match=r"cuda:0 \(Not Found\): it takes a whole GPU"):
        energy_counter(torch.device("cuda", 0))
    card.uuid = None
    with pytest.raises(InputError, match="has no UUID"):
        energy_counter(torch.device("cuda", 0))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(InputError, match=r"pip install 'optnas\[energy\]'"):
        energy_counter(torch.device("cuda", 0))
    with pytest.raises(InputError, match="no counter of energy is known for mps"):
        energy_counter(torch.device("mps"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_takes_some_energy_for_a_pass():
    candidate = Candidate("", torch.randn(1, 256), lambda: nn.Linear(256, 256))
    assert 1e-5 < Energy("cuda", loops=2).measure(candidate) < 1.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seconds": 0.5}, "seconds must be at least 2, because counters of energy move slowly"),
        ({"loops": 1}, "loops must be at least 2, for an interval, got 1"),
        ({"loops": 2.5}, "loops must be a whole number"),
        ({"device": "gpu"}, "unknown device"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"runtime": "onnxruntime", "compile": True}, "takes no compile"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Energy(**settings)


def test_it_is_an_objective_by_its_name(machine, space, evaluator):
    import optuna

    import optnas

    machine.domain("intel-rapl:0", "package-0")
    objective = optnas.Objective(
        space, evaluator, ("loss", "energy_j"), constraints={"energy_j": 1e6}, device="cpu"
    )
    assert objective.directions == ["minimize", "minimize"]
    (metric,) = [m for m in objective.metrics if m.name == "energy_j"]
    assert metric == Energy("cpu")
    objective.metrics[objective.metrics.index(metric)] = optnas.FunctionMetric(
        "energy_j", lambda c: metric.measure(machine.network(0.1, 20.0))
    )
    study = optuna.create_study(directions=objective.directions)
    study.optimize(objective, n_trials=1)
    assert study.trials[0].values[1] == pytest.approx(2.0)


def test_a_run_without_a_counter_is_refused_before_its_first_trial(machine, space, evaluator):
    import optnas

    search = optnas.Search(
        space=space,
        evaluator=evaluator,
        objectives=("loss", "energy_j"),
        trials=1,
        device="cpu",
        storage=str(machine.folder / "without.db"),
    )
    with pytest.raises(InputError, match="no package of RAPL"):
        search.run()
    assert not (machine.folder / "without.db").exists()
