"""The process that imports what workers need, once, and forks a worker for every request.

A new interpreter takes seconds to import PyTorch and Optuna, a fork of one that has them takes
milliseconds. `serve` runs in the server and returns in each process that it forks. A request is a
message of one byte with four file descriptors: standard input, output and error of the new process,
and a pipe for its status. The new process writes its id to this pipe and reads from its standard
input what else it is to be (`Identity`). The server writes the exit code. It ends with the process
that started it.

A fork must find nothing that belongs to the server alone. So the server runs one thread, computes
nothing, never touches CUDA (PyTorch refuses CUDA in a fork of a process that has), and imports no
code of the user's. BLAS libraries end their threads before a fork by themselves.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import struct
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

STATUS = struct.Struct("i")
"""What is written to the pipe for the status: first the id of the process, then its exit code."""


@dataclass(frozen=True)
class Identity:
    """What differs between the processes that one server forks.

    Attributes:
        name: The name that `ps` and `top` show, of 15 characters at most.
        environment: Environment variables.
        folder: The working directory.
        path: `sys.path`.
    """

    name: str
    environment: dict[str, str]
    folder: str
    path: list[str]


def serve(*modules: str) -> None:
    """Imports modules, then forks a process for every request; returns in each of them.

    Requests come from the socket that is the server's standard input.

    Args:
        modules: The modules. One that can't be imported fails again in the forked processes, which
            report it.
    """
    _show_name("optnas server")
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception:
            traceback.print_exc()
    gc.collect()
    gc.freeze()  # a collection in a worker would write to pages that all of them share
    requests = socket.socket(fileno=os.dup(0))
    ended, ends = socket.socketpair()  # where the signal of an ended process is noticed
    ended.setblocking(False)
    ends.setblocking(False)
    signal.set_wakeup_fd(ends.fileno(), warn_on_full_buffer=False)
    before = signal.signal(signal.SIGCHLD, lambda *_: None)
    statuses: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([requests, ended], [], [])
        if ended in ready:
            ended.recv(4096)
            _report_ended(statuses)
        if requests in ready:
            message, files, _, _ = socket.recv_fds(requests, 1, 4)
            if not message:  # the process that started this one has ended, or needs it no more
                os._exit(0)
            try:
                pid = os.fork()
            except OSError:  # too little memory, or too many processes: only this start fails
                traceback.print_exc()
                for file in files:
                    os.close(file)
                continue
            if pid == 0:
                break
            for file in files[:3]:
                os.close(file)
            statuses[pid] = files[3]
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, before)
    for server in (requests, ended, ends):
        server.close()
    for file in statuses.values():
        os.close(file)
    _begin(files)


def _begin(files: list[int]) -> None:
    """Makes this process, which has just been forked, like one of its own interpreter."""
    os.setsid()
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
        os.close(file)
    with suppress(BrokenPipeError), open(files[3], "wb") as status:
        status.write(STATUS.pack(os.getpid()))
    identity = Identity(**json.loads(sys.stdin.readline()))
    _show_name(identity.name)
    os.environ.clear()
    os.environ.update(identity.environment)
    os.chdir(identity.folder)
    sys.path[:] = identity.path
    _draw_seeds()


def _draw_seeds() -> None:
    """Seeds the generators that libraries seed when they are imported; Python's does so itself."""
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    if "torch" in sys.modules:  # that of CUDA always begins with the same seed
        sys.modules["torch"].default_generator.seed()


def _report_ended(statuses: dict[int, int]) -> None:
    """Writes the exit codes of processes that have ended."""
    while statuses:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        file = statuses.pop(pid, None)
        if file is not None:
            with suppress(BrokenPipeError), open(file, "wb") as pipe:
                pipe.write(STATUS.pack(os.waitstatus_to_exitcode(status)))


def _show_name(name: str) -> None:
    """Sets the name of this process that `ps` and `top` show."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(name)
