"""Latency on another device, measured by your own program."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.metrics.base import Metric, check_counts, labelled
from optnas.utils.inputs import batch_of
from optnas.utils.onnx_file import write_onnx


@dataclass(frozen=True)
class CommandLatency(Metric):
    """Latency in milliseconds, measured by a program that gets the network as an ONNX file.

    Use it to measure on a phone or a board: a script copies the file there, runs it, and prints the
    time. The program runs without a shell. The last line that it prints must hold the milliseconds:
    as a number, as JSON (`{"latency_ms": 1.2}`), or as `latency_ms=1.2` or `latency_ms: 1.2`,
    wherever in the line.

    Attributes:
        command: The program and its arguments; `{onnx}` stands for the file's path.
        label: Tells several latencies of one study apart: `latency_ms.LABEL`.
        batch_size: Examples in a pass.
        timeout: Seconds after which the program is stopped.

    Raises:
        ValueError: `{onnx}` isn't in the command, or a number is out of range.
    """

    command: str
    label: str = ""
    batch_size: int = 1
    timeout: float = 300.0
    _root: Path = field(default_factory=Path.cwd, init=False, repr=False, compare=False)
    exact = False
    effort: ClassVar[int] = 3
    least: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        if "{onnx}" not in self.command:
            raise ValueError(f"the command must hold {{onnx}}, the file's path: {self.command!r}")
        check_counts(batch_size=self.batch_size)
        if not self.timeout > 0:
            raise ValueError(f"timeout must be above 0 seconds, got {self.timeout}")

    @property
    def name(self) -> str:
        """`latency_ms`, with the label if there is one."""
        return labelled("latency_ms", self.label)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The command and the batch size; changes of the device behind it can't be seen."""
        return {"command": self.command, "batch_size": self.batch_size}

    def measure(self, candidate: Candidate) -> float:
        """Exports the network, runs the program, and reads its last line.

        Raises:
            InputError: There is no such program, or its last line is no finite number above 0.
            RuntimeError: The program failed, or took too long.
        """
        inputs = batch_of(candidate.example_inputs, self.batch_size)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            write_onnx(candidate.to_measure(), inputs, path)
            words = [word.replace("{onnx}", str(path)) for word in shlex.split(self.command)]
            try:
                done = subprocess.run(
                    words,
                    cwd=self._root,  # the user's code may have changed the working directory
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
            message = (done.stderr or done.stdout).strip()[-500:]
            raise RuntimeError(f"{self.command!r} ended with {done.returncode}: {message}")
        last = (done.stdout.strip().splitlines() or [""])[-1]
        value = milliseconds_in(last)
        if not 0 < value < float("inf"):
            raise InputError(
                f"the last line of {self.command!r} must be a number of milliseconds, or hold it "
                f'as {{"latency_ms": 1.2}} or latency_ms=1.2, got {last!r}'
            )
        return value


def milliseconds_in(line: str) -> float:
    """The number in a line of any of the three forms; 0 without one."""
    try:
        read = json.loads(line)
    except ValueError:
        found = re.search(r"\blatency_ms\s*[=:]\s*(\S+?)[,;]?(?:\s|$)", line)
        read = found[1] if found else line
    if isinstance(read, dict):
        read = read.get("latency_ms")
    try:
        return 0.0 if isinstance(read, bool) else float(read)
    except (TypeError, ValueError):
        return 0.0
