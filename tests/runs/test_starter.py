"""Processes that a server forks: each is like one of a new interpreter."""

import contextlib
import json
import os
import signal
import socket
from pathlib import Path

import psutil
import pytest

from optnas.runs.starter import Anew, ForkServer, starter
from optnas.runs.worker_process import MODULES

STATE = """
import json, locale, multiprocessing, os, random, signal, sys, threading, warnings
import numpy, torch

def stream(file):
    kind = file.encoding, file.errors, file.line_buffering, file.seekable()
    return file.name, file.fileno(), *kind

def files():
    for name in sorted(os.listdir("/proc/self/fd")):
        try:
            yield name, os.path.dirname(os.readlink(f"/proc/self/fd/{name}").split(":")[0])
        except FileNotFoundError:
            pass  # of the list itself

process = multiprocessing.current_process()
signals = [s for s in signal.valid_signals() if isinstance(s, signal.Signals)]
state = {
    "interpreter": [sys.argv, sys.path, sys.flags, sys.warnoptions, __name__],
    "folder": os.getcwd(),
    "environment": dict(os.environ),
    "umask": os.umask(0o22),
    "locale": locale.setlocale(locale.LC_ALL),
    "session": [os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()],
    "handlers": {s.name: str(signal.getsignal(s)).split(" at ")[0] for s in signals},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    "wakeup": signal.set_wakeup_fd(-1),
    "timer": signal.getitimer(signal.ITIMER_REAL),
    "start method": multiprocessing.get_start_method(allow_none=True),
    "process": [process.name, multiprocessing.parent_process(), multiprocessing.active_children()],
    "main thread": threading.current_thread() is threading.main_thread(),
    "threads": [threading.active_count(), len(os.listdir("/proc/self/task"))],
    "torch's threads": [torch.get_num_threads(), torch.get_num_interop_threads()],
    "cuda": [torch.cuda.is_initialized(), torch.cuda._is_in_bad_fork()],
    "streams": [stream(file) for file in (sys.stdin, sys.stdout, sys.stderr)],
    "files": list(files()),
    "warnings": warnings.filters,
}
drawn = [random.random(), numpy.random.rand(), torch.initial_seed(), torch.rand(()).item()]
print(json.dumps([state, drawn], default=str), flush=True)
print("written to the log", file=sys.stderr)
"""
ECHO = """
import os, signal, sys
for line in sys.stdin:
    if line.strip().startswith("exit"):
        os._exit(int(line.split()[1]))
    if line.strip() == "raise":
        raise ValueError("a mistake")
    print(os.getpid(), os.getppid(), line.strip(), flush=True)
"""


@pytest.fixture
def serve(tmp_path):
    """Makes servers, which end after the test."""
    made = []

    def serve(code, *modules):
        made.append(ForkServer(code, modules, tmp_path / "server.log"))
        return made[-1]

    yield serve
    for server in made:
        server.close()


@pytest.fixture
def begin(tmp_path):
    """Starts processes; their pipes are closed after the test."""
    begun = []

    def begin(starter, *, environment=os.environ, folder=None):
        log = tmp_path / f"{len(begun)}.log"
        begun.append(starter.start(f"optnas work {len(begun)}", log, environment, folder))
        return begun[-1]

    yield begin
    for process in begun:
        end(process)


def end(process):
    """The exit code of a process, whose standard input ends."""
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    process.stdout.close()
    return process.wait()


def ask(process, line="hello"):
    """The ids of an ECHO's process and of its parent, and the line."""
    process.stdin.write(line + "\n")
    process.stdin.flush()
    pid, parent, said = process.stdout.readline().split()
    return int(pid), int(parent), said


def test_a_forked_process_is_like_a_new_one(serve, begin, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    before = os.umask(0o027)
    try:
        code = f"import {', '.join(MODULES)}\n{STATE}"
        server = serve(code, *MODULES)
        found = []
        for way in (Anew(code), server, server):
            environment = os.environ | {"OMP_NUM_THREADS": "2", "MINE": str(len(found))}
            process = begin(way, environment=environment, folder=str(folder))
            state, drawn = json.loads(process.stdout.readline())
            assert state["environment"].pop("MINE") == str(len(found))
            found.append((state, drawn))
            assert end(process) == 0
    finally:
        os.umask(before)
    (new, _), (forked, first), (again, second) = found
    assert forked == new
    assert again == new
    assert new["umask"] == 0o027
    assert new["threads"] == [1, 1]
    assert not {*first} & {*second}
    assert [(tmp_path / f"{i}.log").read_text() for i in range(3)] == ["written to the log\n"] * 3
    assert (tmp_path / "server.log").read_text() == ""


def test_a_process_begins_in_the_folder_of_the_one_that_starts_it(serve, begin, tmp_path):
    server = serve("import os; print(os.getcwd(), flush=True)")
    assert begin(server).stdout.readline() == f"{tmp_path}\n"
    os.chdir("..")
    assert begin(server).stdout.readline() == f"{tmp_path.parent}\n"


def test_a_process_is_named_in_the_list_of_processes(serve, begin):
    pid, parent, _ = ask(begin(serve(ECHO)))
    assert Path(f"/proc/{pid}/comm").read_text() == "optnas work 0\n"
    assert Path(f"/proc/{parent}/comm").read_text() == "optnas server\n"


@pytest.mark.parametrize("way", [Anew, ForkServer])
def test_how_a_process_ended_is_known(way, serve, begin, tmp_path):
    way = Anew(ECHO) if way is Anew else serve(ECHO)
    processes = [begin(way) for _ in range(5)]
    for process, line in zip(processes, ["exit 7", "exit 255", "raise", "", ""], strict=True):
        process.stdin.write(line + "\n")
        process.stdin.flush()
    processes[3].kill()
    processes[4].terminate()
    codes = [7, 255, 1, -signal.SIGKILL, -signal.SIGTERM]
    assert [process.wait() for process in processes] == codes
    assert [process.wait() for process in processes] == codes  # still
    assert (tmp_path / "2.log").read_text().endswith("ValueError: a mistake\n")
    for process in processes:
        process.kill()  # which has ended: nothing


def test_processes_hold_no_pipe_of_each_other(serve, begin):
    server = serve(ECHO)
    first, second, third = (begin(server) for _ in range(3))
    assert [len(os.listdir(f"/proc/{ask(p)[0]}/fd")) for p in (first, second, third)] == [3] * 3
    for process in (second, first):
        process.stdin.close()
        assert process.stdout.read() == ""
        assert process.wait() == 0
    assert ask(third)[2] == "hello"


def test_processes_of_a_killed_server_continue_and_a_new_server_forks_the_next(serve, begin):
    server = serve(ECHO)
    first, second = begin(server), begin(server)
    _, killed, _ = ask(first)
    os.kill(killed, signal.SIGKILL)
    server._server.wait()
    assert ask(first)[2] == "hello"
    new = begin(server)
    assert ask(new)[1] not in (killed, ask(first)[1])
    first.stdin.close()
    second.kill()
    for process in (first, second):
        assert process.stdout.read() == ""  # it has ended
        assert process.wait() is None  # nobody knows how
        process.kill()
    assert ask(new)[2] == "hello"
    assert end(new) == 0


def test_what_a_dying_server_is_asked_for_is_forked_from_a_new_one(serve, begin, monkeypatch):
    """It is killed with the request unread: one that has much memory takes a while to be gone."""
    server = serve(ECHO)
    _, killed, _ = ask(begin(server))
    send = socket.send_fds

    def dies(requests, *request):
        monkeypatch.setattr(socket, "send_fds", send)
        os.kill(killed, signal.SIGSTOP)
        send(requests, *request)
        os.kill(killed, signal.SIGKILL)

    monkeypatch.setattr(socket, "send_fds", dies)
    process = begin(server)
    _, parent, said = ask(process)
    assert (said, parent != killed) == ("hello", True)
    process.stdin.close()
    assert process.wait() == 0


def test_what_a_server_can_not_import_fails_in_the_process(serve, begin, tmp_path, monkeypatch):
    (tmp_path / "wrong.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(str(tmp_path))
    process = begin(serve("import wrong", "wrong"))
    assert process.wait() == 1
    assert "ZeroDivisionError" in (tmp_path / "0.log").read_text()
    assert "ZeroDivisionError" in (tmp_path / "server.log").read_text()


def test_a_server_that_dies_while_it_imports_starts_nothing(serve, begin, tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text("import os; os._exit(3)")
    monkeypatch.syspath_prepend(str(tmp_path))
    server = serve("pass", "deadly")
    for _ in range(2):
        process = begin(server)
        assert process.stdout.read() == ""
        assert process.wait() is None
        process.kill()  # which never was


def test_a_fork_that_fails_costs_no_other_process(serve, begin, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "scarce.py").write_text(
        "import os\n"
        "fork = os.fork\n"
        "def scarce():\n"
        f"    if os.path.exists({str(tmp_path / 'full')!r}):\n"
        "        raise BlockingIOError(11, 'Resource temporarily unavailable')\n"
        "    return fork()\n"
        "os.fork = scarce\n"
    )
    server = serve(ECHO, "scarce")
    first = begin(server)
    _, parent, _ = ask(first)
    (tmp_path / "full").touch()
    assert end(begin(server)) is None
    (tmp_path / "full").unlink()
    assert ask(begin(server))[1] == parent
    first.stdin.write("exit 4\n")
    assert end(first) == 4
    assert "temporarily unavailable" in (tmp_path / "server.log").read_text()


def test_a_server_ends_when_it_is_closed(serve, begin):
    server = serve(ECHO)
    process = begin(server)
    _, parent, _ = ask(process)
    assert end(process) == 0
    server.close()
    assert not psutil.pid_exists(parent)
    server.close()


def test_only_linux_forks(monkeypatch, tmp_path):
    for system, way in {"Linux": ForkServer, "Darwin": Anew, "Windows": Anew}.items():
        monkeypatch.setattr("platform.system", lambda system=system: system)
        assert type(starter("", (), tmp_path / "log")) is way
