"""Latency on another device, by a program of one's own."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.metrics.base import Metric, check_counts
from optnas.utils.inputs import map_inputs
from optnas.utils.onnx_file import write_onnx


@dataclass(frozen=True)
class CommandLatency(Metric):
    """What a program says of a network that it is given as an ONNX file.

    The program runs without a shell; the last line that it prints must be a number of
    milliseconds. This is how one measures on a phone or a board: a script pushes the file there,
    runs it, and prints the time.

    Attributes:
        command: The program and its arguments; `{onnx}` stands for the file's path.
        label: Tells several latencies of one study apart: `latency_ms.LABEL`.
        batch_size: Examples in a pass.
        timeout: Seconds that the program may take.

    Raises:
        ValueError: `{onnx}` isn't in the command, or a number is out of range.
    """

    command: str
    label: str = ""
    batch_size: int = 1
    timeout: float = 300.0
    exact = False
    effort: ClassVar[int] = 3

    def __post_init__(self) -> None:
        if "{onnx}" not in self.command:
            raise ValueError(f"the command must hold {{onnx}}, the file's place: {self.command!r}")
        check_counts(batch_size=self.batch_size)
        if not self.timeout > 0:
            raise ValueError(f"timeout must be above 0 seconds, got {self.timeout}")

    @property
    def name(self) -> str:
        """`latency_ms`, with the label if there is one."""
        return f"latency_ms.{self.label}" if self.label else "latency_ms"

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The command and the batch size; what stands behind the program can't be known."""
        return {"command": self.command, "batch_size": self.batch_size}

    def measure(self, candidate: Candidate) -> float:
        """Exports the network, runs the program, and reads its last line.

        Raises:
            InputError: There is no such program, or its last line is no number above 0.
            RuntimeError: It failed, or took too long.
        """
        inputs = map_inputs(
            lambda t: t.repeat_interleave(self.batch_size, dim=0), candidate.example_inputs
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            write_onnx(candidate.to_measure(), inputs, path)
            words = [word.replace("{onnx}", str(path)) for word in shlex.split(self.command)]
            try:
                done = subprocess.run(
                    words,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=self.timeout,
                    stdin=subprocess.DEVNULL,
                )
            except (FileNotFoundError, PermissionError) as error:
                raise InputError(f"can't run {words[0]!r}: {error.strerror}") from error
            except subprocess.TimeoutExpired as error:
                raise RuntimeError(f"{self.command!r} took over {self.timeout:g} s") from error
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-500:]
            raise RuntimeError(f"{self.command!r} ended with {done.returncode}: {said}")
        last = (done.stdout.strip().splitlines() or [""])[-1]
        try:
            value = float(last)
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            raise InputError(
                f"the last line of {self.command!r} must be a number of milliseconds, got {last!r}"
            )
        return value
