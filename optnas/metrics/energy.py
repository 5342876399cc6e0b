"""The energy of one inference."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch

from optnas.candidate import Candidate
from optnas.devices.device import cpu_threads, device_facts, resolve_device
from optnas.devices.energy import STILL, EnergyCounter, Reading, energy_counter, stands_still
from optnas.devices.sharing import exclusive
from optnas.errors import CandidateError, InputError
from optnas.metrics.base import Metric, check_counts, labelled
from optnas.metrics.inference import inference
from optnas.metrics.latency import Latency, Precision, Runtime
from optnas.metrics.runtimes import Pass
from optnas.metrics.timing import warm_up
from optnas.utils.gc import no_garbage_collection
from optnas.utils.mean_sd import Spread

SHORTEST = 2.0
"""Least seconds of a loop: a GPU's counter moves every tenth of a second, and a processor's power
needs as long to settle."""
WARM_UP = 1.0
"""Most seconds of the warm-up."""
NAP = 0.01
"""Seconds of a step while the idle power is measured."""


@dataclass(frozen=True)
class Energy(Metric):
    """Energy of one inference, in joules: `energy_j`.

    Joules and no millijoules, because `mj` could be read as megajoules next to `peak_memory_mb`. A
    small network on one CPU takes about 0.001 to 0.1 J, a large one on a GPU some joules.

    The measurement uses the device exclusively, as that of a latency does (see `Latency`). After a
    warm-up, passes run one after the other for at least `seconds`, from one movement of the
    device's counter to another; the difference of the counter over the number of passes is the
    energy of one. The value is the mean of `loops` such loops. An inference is one example:
    with a larger `batch_size`, the energy of a pass is divided by it.

    On the CPU the counters are RAPL's of all packages of the machine (Intel and AMD, Linux), so
    they hold what other programs and idle cores take meanwhile; memory is left out. On CUDA it is
    NVML's of the whole card (the extra `energy`), without the CPU that launches the kernels. With
    `subtract_idle` the power of the idle device, measured for `seconds` directly before, is
    subtracted.

    Details of a trial: `interval`, the joules in which another loop would lie in 95 % of cases;
    `passes` of all loops; `watts` while they ran, and `idle_watts` if they were measured; `alone`,
    which is False if a training ran on the device at the same time.

    Attributes:
        device: Where to measure: `cpu`, `cuda` or `cuda:N`; `auto` is the device of the study.
        batch_size: Examples in a pass.
        threads: CPU threads during the measurement.
        dtype: As of `Latency`, and so are the next three.
        channels_last: Whether images and convolutions are stored with channels last.
        compile: Whether to run the model through `torch.compile`.
        runtime: `torch`, or `onnxruntime` (the extra `onnx`).
        seconds: Least seconds of a loop; at least 2.
        loops: Number of loops; at least 2.
        subtract_idle: Whether to subtract what the idle device takes in the same time.
        label: Tells several energies of one study apart: `energy_j.LABEL`.

    Raises:
        ValueError: A setting is out of range, or two settings can't be combined.

    Example:
        ```python
        import optnas

        energy = optnas.Energy(device="cpu", subtract_idle=True)
        ```
    """

    device: str = "auto"
    batch_size: int = 1
    threads: int = 1
    dtype: Precision = "float32"
    channels_last: bool = False
    compile: bool = False
    runtime: Runtime = "torch"
    seconds: float = 2.0
    loops: int = 3
    subtract_idle: bool = False
    label: str = ""
    exact = False
    effort: ClassVar[int] = 2
    least: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        _ = self._passes
        check_counts(loops=self.loops)
        if self.loops < 2:
            raise ValueError(f"loops must be at least 2, for an interval, got {self.loops}")
        if not SHORTEST <= self.seconds < math.inf:
            raise ValueError(
                f"seconds must be at least {SHORTEST:g}, because counters of energy move slowly, "
                f"got {self.seconds}"
            )

    @property
    def _passes(self) -> Latency:
        """The latency with these settings, whose passes are run."""
        return Latency(
            device=self.device,
            batch_size=self.batch_size,
            threads=self.threads,
            dtype=self.dtype,
            channels_last=self.channels_last,
            compile=self.compile,
            runtime=self.runtime,
        )

    @property
    def name(self) -> str:
        """`energy_j`, with the label if there is one."""
        return labelled("energy_j", self.label)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What a latency's has, the counter, and whether idle power is subtracted.

        A study asks for it before its first trial.

        Raises:
            InputError: The device has no counter that can be read and moves.
        """
        counter = self._counter(resolve_device(self.device))
        return self._passes.fingerprint | {
            "counter": counter.source,
            "subtract_idle": self.subtract_idle,
            "seconds": self.seconds,
            "loops": self.loops,
        }

    def on(self, device: str) -> Energy:
        """This metric on the study's device, unless it names its own."""
        return replace(self, device=device) if self.device == "auto" else self

    def measure(self, candidate: Candidate) -> float:
        """Counts the energy of loops of passes of a copy of the model in evaluation mode.

        Raises:
            InputError: The device has no counter that can be read and moves, or the device, the
                threads or the runtime aren't available here.
            CandidateError: A pass takes so long that the counter may start again more than once, or
                no more energy than the idle device.
        """
        device = resolve_device(self.device)
        counter = self._counter(device)

        def made() -> Pass:
            return self._passes.one_pass(candidate, device)

        first = made()
        with (
            cpu_threads(self.threads),
            no_garbage_collection(),
            inference(first, made, candidate.example_inputs) as one_pass,
            exclusive(device) as undisturbed,
        ):
            idle = _loop(_nap, counter, self.seconds).watts if self.subtract_idle else 0.0
            warm_up(one_pass, WARM_UP)
            loops = [_loop(one_pass, counter, self.seconds) for _ in range(self.loops)]
            facts = device_facts(device)
        spread = Spread.of([loop.joules(idle) / self.batch_size for loop in loops])
        if not spread.mean > 0:
            raise CandidateError(
                f"the device took no more power with this network than idle ({idle:.4g} W): other "
                "programs were at work before it. Measure on an idle machine, or without "
                "subtract_idle"
            )
        half = _half_width(spread)
        candidate.details[self.name] = {
            "interval": [max(spread.mean - half, 0.0), spread.mean + half],
            "passes": sum(loop.passes for loop in loops),
            "watts": sum(loop.watts for loop in loops) / len(loops),
            **({"idle_watts": idle} if self.subtract_idle else {}),
            "alone": undisturbed,
            **facts,
        }
        return spread.mean

    def _counter(self, device: torch.device) -> EnergyCounter:
        counter = energy_counter(device)
        if self.seconds >= counter.longest:
            raise InputError(
                f"{counter.source} may start again at 0 more than once in "
                f"seconds={self.seconds:g}: give less than {counter.longest:.0f}"
            )
        return counter


@dataclass(frozen=True)
class _Loop:
    """Passes from one movement of a counter to another: how many, how long, and their power."""

    passes: int
    seconds: float
    watts: float

    def joules(self, idle: float) -> float:
        """The energy of one pass, without that of a device of this idle power in watts."""
        return (self.watts - idle) * self.seconds / self.passes


def _loop(one_pass: Callable[[], float], counter: EnergyCounter, seconds: float) -> _Loop:
    """Runs passes for at least some seconds.

    Begin and end are moments in which the counter has just moved: between two movements it doesn't
    show what was taken since.
    """
    before, _ = _until_moved(one_pass, counter)
    begin, passes = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        one_pass()
        passes += 1
    after, more = _until_moved(one_pass, counter)
    took = time.perf_counter() - begin
    if took >= counter.longest:
        raise CandidateError(
            f"a pass takes so long that {counter.source} may start again at 0 more than once "
            f"({took:.0f} s between two readings)"
        )
    return _Loop(passes + more, took, counter.joules(before, after) / took)


def _until_moved(one_pass: Callable[[], float], counter: EnergyCounter) -> tuple[Reading, int]:
    """Runs passes until the counter moves: its reading then, and their number."""
    first, begin, passes = counter.read(), time.perf_counter(), 0
    while True:
        one_pass()
        passes += 1
        now = counter.read()
        if now != first:
            return now, passes
        if time.perf_counter() - begin > STILL:
            raise stands_still(counter.source)


def _nap() -> float:
    time.sleep(NAP)
    return 1e3 * NAP


def _half_width(spread: Spread) -> float:
    """Half the width of the 95 % prediction interval of one more loop."""
    from scipy.special import stdtrit  # not above: it takes a fifth of a second

    return float(stdtrit(spread.n - 1, 0.975)) * spread.deviation * math.sqrt(1 + 1 / spread.n)
