"""Runs a command to its end, and reports the epochs that it prints."""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import torch

from optnas.devices.sharing import is_awaited
from optnas.errors import CandidateError, CommandError, InputError
from optnas.evaluators.command.fingerprint import PYTHON
from optnas.evaluators.command.output import BoundedLog, Lines
from optnas.evaluators.command.patterns import Epochs, NumberPattern, Row
from optnas.evaluators.command.process import CommandProcess
from optnas.evaluators.epoch_report import Report
from optnas.utils.terminal import visible

MOST = 10_000
"""Epochs of one training: a pattern that matches more often is thought to be wrong."""
FILES = "files"
"""The command's own folder, in the trial's folder."""
LOCK = "lock"
CURVE = "curve.jsonl"
"""The epochs that were read, in the trial's folder: those of a killed process are read there."""
OUT_OF_MEMORY = (
    "OutOfMemoryError",
    "out of memory",
    "MemoryError",
    "allocate memory",
    "std::bad_alloc",
)
_COMMAND = 200
"""Characters of a command that messages show."""

log = logging.getLogger("optnas")


def run(
    words: Sequence[str],
    cwd: Path,
    folder: Path,
    patterns: Mapping[str, NumberPattern],
    step: NumberPattern | None,
    report: Report,
) -> None:
    """Runs a command; the report's curve then has its epochs.

    Args:
        words: The program and its arguments.
        cwd: Its working directory.
        folder: That of the trial, in which the command has one of its own.
        patterns: Of the scores.
        step: Of the number of the epoch; None counts them.
        report: Is called after every epoch.

    Raises:
        CandidateError: It ran out of memory.
        CommandError: It failed, or printed nothing that matches, or a pattern doesn't fit that.
        InputError: It can't be started.
    """
    shown = _short(words)
    curve = _Curve(folder, report, counted=step is None, shown=shown)
    epochs = Epochs(patterns, step, first=len(report.curve))
    lines = Lines()

    def read(chunk: bytes, *, final: bool = False) -> None:
        for line in lines.read(chunk, final=final):
            output.write(line)
            for number, row in epochs.read(line):
                curve.add(number, row)

    with ExitStack() as stack:
        output = stack.enter_context(BoundedLog(folder))
        process = stack.enter_context(_started(words, cwd, folder / LOCK, shown))
        stack.enter_context(_giving_way(report, process))
        for chunk in process.chunks():
            report.give_way()
            read(chunk)
        read(b"", final=True)
    if process.error:
        raise InputError(f"can't run {words[0]!r} ({process.error}): {_remedy(words[0], cwd)}")
    if process.code != 0:
        raise _failure(shown, process.code, lines.last)
    for number, row in epochs.rest():
        curve.add(number, row)
    if report.curve and not curve.has_begun:
        # It had ended before its process was killed, and nobody may have read its last scores.
        log.warning("%s resumes nothing and prints no score: it is run again from the start", shown)
        curve.forget()
        run(words, cwd, folder, patterns, step, report)
        return
    missing = [name for name in patterns if not any(name in row for row in report.curve)]
    if missing:
        raise CommandError(
            f"{shown} ended well, but printed nothing that the pattern of {missing[0]} matches "
            f"({patterns[missing[0]].text!r}){_end(lines.last)}"
        )


def _started(words: Sequence[str], cwd: Path, lock: Path, shown: str) -> CommandProcess:
    if any("\0" in word for word in words):
        raise InputError(f"{shown} has a zero byte in it, which no program can be given")
    # As if the interpreter's virtual environment were activated, also for what the command starts.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    environment |= os.environ | {"PATH": path, "PYTHONUNBUFFERED": "1"}
    program = sys.executable if words[0] in PYTHON else words[0]
    try:
        return CommandProcess([program, *words[1:]], cwd, environment, lock)
    except OSError as error:
        raise InputError(f"can't run {shown}: {error.strerror}") from error


def _remedy(program: str, cwd: Path) -> str:
    """What to do about a program that can't be started."""
    if "/" not in program:
        return "give its path in the command"
    if not (cwd / program).is_file():
        return f"there is no such file; relative paths begin in {cwd}"
    return (
        "begin the command with the interpreter, such as `sh` or `python`; or make the file "
        "executable (chmod +x), with a first line that names one which is there (#!/bin/sh)"
    )


@contextmanager
def _giving_way(report: Report, process: CommandProcess) -> Iterator[None]:
    """Pauses the command while a measurement has the device."""
    give_way = report.give_way

    def pause() -> None:
        if is_awaited():
            with process.paused():
                give_way()

    report.give_way = pause
    try:
        yield
    finally:
        report.give_way = give_way


class _Curve:
    """The curve of a trial, kept in its folder, so that a retry has that of a killed process.

    Args:
        folder: The trial's folder.
        report: Is called with each epoch, and gets the earlier ones.
        counted: Whether epochs are counted. Then the earlier ones stay if the command has left
            files that it may resume from; else those before the first new one stay.
        shown: The command, for messages.

    Attributes:
        has_begun: Whether an epoch was added.
    """

    def __init__(self, folder: Path, report: Report, *, counted: bool, shown: str) -> None:
        self._files = folder / FILES
        self._path = folder / CURVE
        self._report = report
        self._counted = counted
        self._shown = shown
        self.has_begun = False
        if not counted or any(self._files.iterdir()):
            with suppress(OSError, ValueError):  # half a line: the process was killed
                for line in self._path.read_text("utf-8").splitlines():
                    report.curve.append(json.loads(line))

    def forget(self) -> None:
        """Removes the earlier epochs, and the files of the command."""
        self._report.curve.clear()
        self._path.unlink(missing_ok=True)
        shutil.rmtree(self._files, ignore_errors=True)
        self._files.mkdir(exist_ok=True)

    def add(self, step: int, row: Row) -> None:
        """Reports an epoch."""
        curve = self._report.curve
        if len(curve) >= MOST:
            raise CommandError(
                f"{self._shown} has printed scores for more than {MOST:,} epochs: the patterns "
                "must match once an epoch, not at each step or each move of a progress bar"
            )
        kept = [{"step": step, **row}]
        if not self.has_begun:
            self.has_begun = True
            if not self._counted:
                curve[:] = [earlier for earlier in curve if earlier["step"] < step]
            kept = [*curve, *kept]
            self._path.unlink(missing_ok=True)
        with suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(one)}\n" for one in kept)
        self._report(step, row)


def _failure(shown: str, code: int | None, last: Sequence[str]) -> Exception:
    """The error for a command that hasn't ended well."""
    end = _end(last)
    for line in reversed(last):
        if any(text in line for text in OUT_OF_MEMORY):
            return CandidateError(f"out of memory: {shown} ended with: {line}")
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):  # a shell tells it in the latter way
        return CandidateError(
            f"{shown} was killed (SIGKILL), as the system does when memory runs out{end}"
        )
    if code is None:
        return CommandError(f"{shown} was ended together with the process that watched it{end}")
    if code < 0:
        return CommandError(f"{shown} was ended by {_signal(-code)}{end}")
    why = f"{last[-1].strip()}: " if last else ""  # first, as the command may be long
    return CommandError(f"{why}{shown} ended with exit code {code}{end}")


def _signal(number: int) -> str:
    with suppress(ValueError):  # those for programs' own use have no names
        return signal.Signals(number).name
    return f"signal {number}"


def _end(last: Sequence[str]) -> str:
    """The end of an output, for the end of a sentence."""
    if not last:
        return "; it printed nothing"
    return "; its output ends with:\n" + "\n".join(f"  {line}" for line in last)


def _short(words: Sequence[str]) -> str:
    text = visible(shlex.join(words))
    return text if len(text) <= _COMMAND else f"{text[:_COMMAND]}…"
