"""A command that runs, its output as it comes, and its end.

A supervisor process starts the command, and ends it with all its descendants (`supervisor`).
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from optnas.evaluators.command import supervisor

POLL = 0.5
"""Seconds after which a silent command is looked at again."""
CHUNK = 2**16
"""Bytes that are read at once."""
LEFT = 2**20
"""Bytes that are read after the end: a pipe holds no more, so something else goes on writing."""
STANDING = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP, psutil.STATUS_ZOMBIE)
"""States of a process that computes nothing."""
GRACE = 3.0
"""Seconds that processes have to end after SIGTERM; then SIGKILL ends them. A run that is
interrupted waits 10 s for its workers."""
PATIENCE = 5.0
"""Seconds beyond that until the supervisor is given up."""
LOOK = 0.05
"""Seconds between two tries to take a lock."""


class CommandProcess:
    """A running command without a shell; a context manager that ends it with its descendants.

    It has no standard input, and a session of its own, so that Ctrl-C is for this process alone.

    Args:
        words: The program and its arguments.
        cwd: Its working directory.
        environment: Its environment variables.
        lock: A file that is locked until all has ended. If the process that ran a trial was killed,
            its command may need some seconds to end, in which no other one may use its files.

    Attributes:
        error: Why it can't be started; empty if it was.
        code: Its exit code, negative for a signal; None while it runs, and if it was ended before
            anybody could tell.
    """

    def __init__(
        self, words: Sequence[str], cwd: Path, environment: Mapping[str, str], lock: Path
    ) -> None:
        self.error = ""
        self.code: int | None = None
        self._pid: int | None = None
        self._unread = b""
        locked = _locked(lock)
        output, write = os.pipe()
        self._output = output
        try:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-P", supervisor.__file__, str(GRACE), *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=write,
                cwd=cwd,
                env=environment,
                pass_fds=(locked,),
                start_new_session=True,
                bufsize=0,
            )
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(write)
            os.close(locked)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._supervisor.stdin is not None
        assert self._supervisor.stdout is not None
        try:
            self._supervisor.stdin.close()  # now it ends the command
            try:
                self._supervisor.wait(GRACE + PATIENCE)
            except subprocess.TimeoutExpired:  # it is stopped, say
                self._supervisor.kill()
            if self._supervisor.wait() != 0:  # somebody killed it
                while self._read_status(self._supervisor.stdout.fileno()):
                    pass
                self._signal(signal.SIGKILL)
        finally:
            self._supervisor.stdout.close()
            os.close(self._output)

    def chunks(self) -> Iterator[bytes]:
        """The output as it comes; empty ones from time to time. It ends with the command."""
        assert self._supervisor.stdout is not None
        status = self._supervisor.stdout.fileno()
        left = LEFT
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            selector.register(status, selectors.EVENT_READ)
            while selector.get_map():
                has_ended = status not in selector.get_map()
                ready = {key.fd for key, _ in selector.select(0 if has_ended else POLL)}
                if self._output in ready:
                    chunk = os.read(self._output, CHUNK)
                    if not chunk:
                        selector.unregister(self._output)
                    left -= len(chunk) if has_ended else 0
                    yield chunk
                elif has_ended:
                    return  # a process that escaped keeps the output open
                if status in ready and not self._read_status(status):
                    selector.unregister(status)
                if left < 0:
                    return
                if not ready:
                    yield b""

    def _read_status(self, status: int) -> bool:
        """Reads what the supervisor tells; False once it has ended."""
        read = os.read(status, CHUNK)
        *lines, self._unread = (self._unread + read).split(b"\n")
        for line in lines:
            event = json.loads(line)
            self._pid = event.get("pid", self._pid)
            self.code = event.get("code", self.code)
            self.error = event.get("error", self.error)
        return bool(read)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stops the command's process group in the block, which begins once it has stopped."""
        self._signal(signal.SIGSTOP)
        try:
            self._await_stop()
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _await_stop(self) -> None:
        deadline = time.monotonic() + GRACE
        with suppress(psutil.Error):  # it has ended
            process = psutil.Process(self._pid)
            while process.status() not in STANDING and time.monotonic() < deadline:
                time.sleep(0.001)

    def _signal(self, number: int) -> None:
        if self._pid is not None and self.code is None:
            with suppress(OSError):
                os.killpg(self._pid, number)


def _locked(path: Path) -> int:
    """Opens and locks a file; goes on without the lock after as long as an end takes at most."""
    import fcntl  # Windows has none, and runs no commands

    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + GRACE + PATIENCE
    try:
        while time.monotonic() < deadline:
            with suppress(OSError):  # another process has it, or this file system has no locks
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(LOOK)
    except BaseException:
        os.close(file)
        raise
    return file
