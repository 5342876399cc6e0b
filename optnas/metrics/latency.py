"""The time of one inference pass."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from optnas.candidate import Candidate, Inputs, call, map_inputs
from optnas.devices import cpu_threads, device_name, resolve_device, synchronize
from optnas.metrics.base import Metric


@dataclass(frozen=True)
class Latency(Metric):
    """Median time of one inference pass, in milliseconds.

    After a warm-up, single passes are timed one by one: with CUDA events on CUDA, with the
    processor's clock (and a synchronisation) elsewhere. The median is hardly moved by other
    processes, the mean is. Details: `p95`, `passes`, and `device`.

    Attributes:
        device: Where to measure; `auto` is the device of the study.
        batch_size: Examples in a pass.
        threads: CPU threads during the measurement, and only then.
        warmup_seconds: Least time of the warm-up, which has at least 5 passes.
        max_seconds: Time for measuring; at least 10 passes are timed.
        max_passes: Most passes to time.
        label: Tells several latencies of one study apart: `latency_ms.LABEL`.
    """

    device: str = "auto"
    batch_size: int = 1
    threads: int = 1
    warmup_seconds: float = 0.05
    max_seconds: float = 0.25
    max_passes: int = 500
    label: str = ""
    exact: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if min(self.batch_size, self.threads, self.max_passes) < 1:
            raise ValueError("batch_size, threads and max_passes must be at least 1")
        if not (0 <= self.warmup_seconds < math.inf and 0 <= self.max_seconds < math.inf):
            raise ValueError("warmup_seconds and max_seconds must be finite and not negative")

    @property
    def name(self) -> str:
        """`latency_ms`, with the label if there is one."""
        return f"latency_ms.{self.label}" if self.label else "latency_ms"

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Device and its model, threads (on a CPU), batch size, and PyTorch's version."""
        device = resolve_device(self.device)
        found = {
            "device": device.type,
            "device_name": device_name(device),
            "batch_size": self.batch_size,
            "torch": torch.__version__,
        }
        return found | ({"threads": self.threads} if device.type == "cpu" else {})

    def on(self, device: str) -> Latency:
        """This metric on the study's device, unless it names its own."""
        return replace(self, device=device) if self.device == "auto" else self

    def measure(self, candidate: Candidate) -> float:
        """Times passes of a copy of the model in evaluation mode."""
        device = resolve_device(self.device)
        model = copy.deepcopy(candidate.model).to(device).eval()
        inputs = map_inputs(
            lambda t: t.to(device).repeat_interleave(self.batch_size, dim=0),
            candidate.example_inputs,
        )
        with torch.inference_mode(), cpu_threads(self.threads):
            times = self._times(model, inputs, device)
        candidate.details[self.name] = {
            "p95": float(np.percentile(times, 95)),
            "passes": len(times),
            "device": device_name(device),
        }
        return float(np.median(times))

    def _times(self, model: nn.Module, inputs: Inputs, device: torch.device) -> list[float]:
        """Milliseconds of each timed pass."""
        timed = _cuda_pass if device.type == "cuda" else _clock_pass
        end, passes = time.perf_counter() + self.warmup_seconds, 0
        while passes < 5 or time.perf_counter() < end:
            timed(model, inputs, device)
            passes += 1
        times: list[float] = []
        end = time.perf_counter() + self.max_seconds
        while len(times) < 10 or (len(times) < self.max_passes and time.perf_counter() < end):
            times.append(timed(model, inputs, device))
        return times


def _clock_pass(model: nn.Module, inputs: Inputs, device: torch.device) -> float:
    start = time.perf_counter_ns()
    call(model, inputs)
    synchronize(device)
    return (time.perf_counter_ns() - start) / 1e6


def _cuda_pass(model: nn.Module, inputs: Inputs, device: torch.device) -> float:
    with torch.cuda.device(device):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call(model, inputs)
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end))
