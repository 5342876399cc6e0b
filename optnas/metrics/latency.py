"""The time of one inference pass, and the examples per second."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from optnas.candidate import Candidate
from optnas.devices.device import (
    check_device_name,
    cpu_threads,
    device_facts,
    device_name,
    resolve_device,
)
from optnas.devices.sharing import exclusive
from optnas.errors import InputError
from optnas.metrics.base import Metric, check_counts, labelled
from optnas.metrics.command import CommandLatency
from optnas.metrics.inference import inference
from optnas.metrics.runtimes import Pass, onnxruntime_pass, runtime_version, torch_pass
from optnas.metrics.timing import time_passes
from optnas.study.objectives import Direction
from optnas.utils.inputs import batch_of, map_inputs

Precision = Literal["float32", "bfloat16", "float16", "int8"]
Runtime = Literal["torch", "onnxruntime"]


@dataclass(frozen=True)
class Latency(Metric):
    """Median time of one inference pass, in milliseconds.

    The measurement uses the device exclusively: trainings of optnas on this machine release it at
    their next step. After a warm-up until the times are steady, passes are timed one by one for at
    least 0.3 s, until the 95 % interval of the median is narrow enough or `max_seconds` are over
    (`optnas.metrics.timing` explains the interval). Copying inputs to the device isn't timed.

    Details of a trial, times in milliseconds: `p95`; `interval`; `passes`; `alone`, which is False
    if a training by optnas ran on the device at the same time (other programs aren't seen, but they
    widen the interval); on CUDA the card's `uuid`, `driver` and
    `clock_mhz`.

    Attributes:
        device: Where to measure; `auto` is the device of the study.
        batch_size: Examples in a pass.
        threads: CPU threads during the measurement.
        dtype: Type of weights and floating-point inputs: `float32`, `bfloat16` or `float16`. `int8`
            with `runtime="onnxruntime"` is the network with 8-bit weights and activations, on the
            CPU (see `optnas.Quantized`); noise calibrates it, because values don't change its time.
        channels_last: Whether images and convolutions are stored with channels last.
        compile: Whether to run the model through `torch.compile`; compiling isn't timed. Each
            measurement calls `torch.compiler.reset` first.
        runtime: `torch`, or `onnxruntime` (the extra `onnx`).
        target_error: Half the width of a sufficiently narrow interval, as a share of the median.
        max_seconds: Most seconds for the timed passes, and again for the warm-up.
        label: Tells several latencies of one study apart: `latency_ms.LABEL`.

    Raises:
        ValueError: A setting is out of range, or two settings can't be combined.

    Example:
        ```python
        import optnas

        latency = optnas.Latency(device="cpu", batch_size=8, label="batch8")
        ```
    """

    device: str = "auto"
    batch_size: int = 1
    threads: int = 1
    dtype: Precision = "float32"
    channels_last: bool = False
    compile: bool = False
    runtime: Runtime = "torch"
    target_error: float = 0.01
    max_seconds: float = 0.5
    label: str = ""
    exact = False
    effort: ClassVar[int] = 2
    least: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        check_device_name(self.device)
        check_counts(batch_size=self.batch_size, threads=self.threads)
        if self.dtype not in get_args(Precision):
            raise ValueError(
                f"dtype must be one of {', '.join(get_args(Precision))}, got {self.dtype!r}"
            )
        if self.runtime not in get_args(Runtime):
            raise ValueError(
                f"runtime must be one of {', '.join(get_args(Runtime))}, got {self.runtime!r}"
            )
        if not (0 < self.target_error < 1 and 0 < self.max_seconds < math.inf):
            raise ValueError(
                "target_error must lie between 0 and 1, max_seconds above 0, got "
                f"{self.target_error} and {self.max_seconds}"
            )
        if self.runtime == "onnxruntime" and (
            self.compile or self.channels_last or self.dtype not in ("float32", "int8")
        ):
            raise ValueError(
                "runtime='onnxruntime' takes no compile or channels_last, and no dtype but int8"
            )
        if self.dtype == "int8" and self.runtime != "onnxruntime":
            raise ValueError("dtype='int8' needs runtime='onnxruntime'")

    @classmethod
    def command(
        cls, command: str, *, label: str = "", batch_size: int = 1, timeout: float = 300.0
    ) -> CommandLatency:
        """Latency on a phone or a board, measured by your own program (see `CommandLatency`).

        Args:
            command: A program and its arguments, such as `./on_device {onnx}`. It runs in the
                working directory, gets an ONNX file, and prints milliseconds in its last line.
            label: Tells several latencies of one study apart.
            batch_size: Examples in a pass.
            timeout: Seconds after which the program is stopped.
        """
        return CommandLatency(command, label, batch_size, timeout)

    @property
    def name(self) -> str:
        """`latency_ms`, with the label if there is one."""
        return labelled("latency_ms", self.label)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The device, its model, versions, and the settings that change what is timed."""
        device = resolve_device(self.device)
        found: dict[str, Any] = {
            "device": device.type,
            "device_name": device_name(device),
            "batch_size": self.batch_size,
            "dtype": self.dtype,
            "channels_last": self.channels_last,
            "compile": self.compile,
            "runtime": self.runtime,
            "torch": torch.__version__,
        }
        if self.runtime == "onnxruntime":
            found["onnxruntime"] = runtime_version()
        if device.type == "cpu":
            return found | {"threads": self.threads}
        return found | {k: v for k, v in device_facts(device).items() if k == "driver"}

    def on(self, device: str) -> Latency:
        """This metric on the study's device, unless it names its own."""
        return replace(self, device=device) if self.device == "auto" else self

    def measure(self, candidate: Candidate) -> float:
        """Times passes of a copy of the model in evaluation mode; returns milliseconds.

        Raises:
            InputError: The device, the threads or the runtime aren't available here.
        """
        device = resolve_device(self.device)

        def made() -> Pass:
            return self.one_pass(candidate, device)

        first = made()
        with (
            cpu_threads(self.threads),
            inference(first, made, candidate.example_inputs) as one_pass,
            exclusive(device) as undisturbed,
        ):
            timing = time_passes(one_pass, self.target_error, self.max_seconds)
            facts = device_facts(device)
        candidate.details[self.name] = {
            "p95": timing.p95,
            "interval": list(timing.interval),
            "passes": timing.passes,
            "alone": undisturbed,
            **facts,
        }
        candidate.timed[repr(self)] = timing.median
        return timing.median

    def one_pass(self, candidate: Candidate, device: torch.device) -> Pass:
        """A pass of a copy of the candidate's model with these settings.

        Raises:
            InputError: The threads or the runtime aren't available here.
        """
        there = os.cpu_count() or 1
        if self.threads > there:
            raise InputError(f"threads={self.threads}, but this machine has {there} CPUs")
        inputs = batch_of(candidate.example_inputs, self.batch_size)
        model = candidate.to_measure()
        if self.runtime == "onnxruntime":
            return onnxruntime_pass(model, inputs, device, self.threads, int8=self.dtype == "int8")
        dtype = getattr(torch, self.dtype)
        model = _with_types(model.to(device), dtype)

        def laid_out(tensor: Tensor) -> Tensor:
            if self.channels_last and tensor.ndim == 4:
                return tensor.contiguous(memory_format=torch.channels_last)
            return tensor

        for parameter in model.parameters():
            parameter.data = laid_out(parameter.data)
        inputs = map_inputs(
            lambda t: laid_out(t.to(device, dtype if t.is_floating_point() else None)), inputs
        )
        if not self.compile:
            return torch_pass(model, inputs, device)
        # The compiler falls back to eager code after it has compiled the same code eight times.
        torch.compiler.reset()
        return torch_pass(torch.compile(model), inputs, device)


def _with_types(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The model with its floating-point tensors in this type; complex ones stay complex."""
    tensors = (*model.parameters(), *model.buffers())
    if not any(tensor.is_complex() for tensor in tensors):
        return model.to(dtype=dtype)
    # `to` would make real tensors of complex ones.
    model._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)
    return model


class Throughput(Metric):
    """Examples per second: 1000 · batch_size / latency_ms.

    Args:
        latency: The latency's settings; `Latency()` by default. A study that has this latency as a
            metric too measures it once.
    """

    direction: Direction = "maximize"
    exact = False
    effort: ClassVar[int] = 2
    least: ClassVar[float] = 0.0

    def __init__(self, latency: Latency | None = None) -> None:
        self._latency = latency or Latency()

    @property
    def name(self) -> str:
        """`throughput`, with the latency's label if there is one."""
        return "throughput" + self._latency.name.removeprefix("latency_ms")

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The latency's fingerprint."""
        return self._latency.fingerprint

    def on(self, device: str) -> Throughput:
        """This metric on the study's device, unless the latency names its own."""
        return Throughput(self._latency.on(device))

    def measure(self, candidate: Candidate) -> float:
        """Computes it from the latency, which is measured unless it is known already."""
        latency = candidate.timed.get(repr(self._latency)) or self._latency.measure(candidate)
        return 1000.0 * self._latency.batch_size / latency
