"""How worker processes are started: forked from one that has imported what they need, or anew."""

from __future__ import annotations

import json
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Protocol

import psutil

from optnas.runs.fork_server import STATUS, Identity

PATIENCE = 10.0
"""Seconds that a process has to end before it is killed."""
DYING = 1.0
"""Seconds in which a server is gone that was killed before it forked a process."""


class Process(Protocol):
    """A worker's process; `subprocess.Popen` is one."""

    @property
    def stdin(self) -> IO[str] | None:
        """What the process reads."""

    @property
    def stdout(self) -> IO[str] | None:
        """What it writes."""

    def send_signal(self, sig: int, /) -> None:
        """Sends a signal, unless the process has ended."""

    def terminate(self) -> None:
        """Asks the process to end."""

    def kill(self) -> None:
        """Ends the process at once."""

    def wait(self) -> int | None:
        """The exit code, negative for a signal, once the process has ended; None if it is lost."""


class Starter(ABC):
    """Starts processes that run one piece of code, each in a session of its own.

    Args:
        code: The code. It finds `sys.path` as it is in this process.
    """

    def __init__(self, code: str) -> None:
        self._code = code

    @abstractmethod
    def start(
        self, name: str, log: Path | int, environment: Mapping[str, str], folder: str | None
    ) -> Process:
        """Starts a process, whose standard input and output are pipes of text.

        Args:
            name: Its name, of 15 characters at most, where the system shows it.
            log: The file that its standard error is appended to, or the descriptor of one, which
                is closed.
            environment: Its environment variables.
            folder: Its working directory; None takes this process's.
        """

    @abstractmethod
    def close(self) -> None:
        """Ends what was needed to start the processes, which have ended."""


class Anew(Starter):
    """Starts each process as a new interpreter, which imports everything by itself."""

    def start(
        self, name: str, log: Path | int, environment: Mapping[str, str], folder: str | None
    ) -> subprocess.Popen[str]:
        """Starts a process (see `Starter`)."""
        with open(log, "a") as file:
            return subprocess.Popen(
                [sys.executable, "-c", _with_path(self._code)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env=environment,
                cwd=folder,
                text=True,
                start_new_session=True,
            )

    def close(self) -> None:
        """Nothing is left to end."""


class Forked:
    """A process that a server forked; the interface is that of `subprocess.Popen`.

    Args:
        server: The socket that the server reads.
        identity: What the process is to be.
        log: The descriptor of the file that its standard error is appended to; it stays open.

    Attributes:
        began: Whether the server has forked it.
    """

    def __init__(self, server: socket.socket, identity: Identity, log: int) -> None:
        stdin, to_stdin = os.pipe()
        from_stdout, stdout = os.pipe()
        from_status, status = os.pipe()
        self.stdin: IO[str] = os.fdopen(to_stdin, "w")
        self.stdout: IO[str] = os.fdopen(from_stdout)
        self._status = os.fdopen(from_status, "rb")
        self._reading = threading.Lock()
        self._code: int | None = None
        self._process: psutil.Process | None = None
        with suppress(BrokenPipeError, ConnectionResetError):  # the server was killed
            socket.send_fds(server, [b"+"], [stdin, stdout, log, status])
        for number in (stdin, stdout, status):
            os.close(number)
        pid = self._status.read(STATUS.size)
        self.began = bool(pid)
        with suppress(BrokenPipeError, psutil.NoSuchProcess):  # it has ended already
            if pid:
                self._process = psutil.Process(*STATUS.unpack(pid))
            self.stdin.write(json.dumps(asdict(identity)) + "\n")
            self.stdin.flush()

    def discard(self) -> None:
        """Closes the pipes of a process that was never forked."""
        with suppress(BrokenPipeError):
            self.stdin.close()
        self.stdout.close()
        self._status.close()

    def send_signal(self, sig: int) -> None:
        """Sends a signal, never to another process that got the same id afterwards."""
        if self._process is not None:
            with suppress(psutil.NoSuchProcess):
                self._process.send_signal(sig)

    def terminate(self) -> None:
        """Asks the process to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends the process at once."""
        self.send_signal(signal.SIGKILL)

    def wait(self) -> int | None:
        """The exit code once the process has ended; None if the server was killed before that."""
        with self._reading:
            if not self._status.closed:
                with self._status:
                    code = self._status.read(STATUS.size)
                if code:
                    (self._code,) = STATUS.unpack(code)
            return self._code


class ForkServer(Starter):
    """Forks each process from a server, which is started with the first one.

    If the server is killed, its processes continue, and the next one is forked from a new server;
    so is the one that was asked for while the old server was dying.

    Args:
        code: The code that a process runs.
        modules: The modules that the server imports.
        log: The file that the server's standard error is appended to.
    """

    def __init__(self, code: str, modules: tuple[str, ...], log: Path) -> None:
        super().__init__(code)
        self._modules = modules
        self._log = log
        self._server: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None

    def start(
        self, name: str, log: Path | int, environment: Mapping[str, str], folder: str | None
    ) -> Forked:
        """Starts a process (see `Starter`), and before it the server if there is none."""
        if self._server is None or self._requests is None or self._server.poll() is not None:
            self._serve(environment, folder)
        assert self._requests is not None
        identity = Identity(name, dict(environment), folder or os.getcwd(), [*sys.path])
        with open(log, "a") as file:
            process = Forked(self._requests, identity, file.fileno())
            if not process.began and self._is_dying():
                process.discard()
                self._serve(environment, folder)
                process = Forked(self._requests, identity, file.fileno())
        return process

    def _is_dying(self) -> bool:
        """Whether the server ends in a moment; if not, it had too little memory for a process."""
        assert self._server is not None
        try:
            self._server.wait(DYING)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _serve(self, environment: Mapping[str, str], folder: str | None) -> None:
        """Starts the server, in the environment of the process that is forked first."""
        self.close()
        names = ", ".join(map(repr, self._modules))
        serve = f"from optnas.runs.fork_server import serve; serve({names}); "
        self._requests, theirs = socket.socketpair()
        with theirs, open(self._log, "a") as file:
            self._server = subprocess.Popen(
                [sys.executable, "-c", _with_path(serve + self._code)],
                stdin=theirs.fileno(),  # it ends when this process does
                stdout=theirs.fileno(),  # which nobody writes to
                stderr=file,
                env=environment,
                cwd=folder,
                start_new_session=True,
            )

    def close(self) -> None:
        """Ends the server."""
        if self._requests is not None:
            self._requests.close()
        if self._server is not None:
            try:
                self._server.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
        self._server = self._requests = None


def starter(code: str, modules: tuple[str, ...], log: Path) -> Starter:
    """The way in which this system starts processes that run one piece of code.

    A fork is safe on Linux. System libraries of macOS start threads that don't survive one, and
    Windows has none.

    Args:
        code: The code.
        modules: Modules that the code imports before it does anything.
        log: For the standard error of a server, if there is one.
    """
    if platform.system() == "Linux":
        return ForkServer(code, modules, log)
    return Anew(code)


def _with_path(code: str) -> str:
    """As multiprocessing's spawn does: the process can import what this one can."""
    return f"import sys; sys.path[:] = {sys.path!r}; {code}"
