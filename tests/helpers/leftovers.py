"""Ends the processes that a test run has started, however the run ends.

Each of them inherits an environment variable that holds the run's name. A watcher of its own
session waits for its standard input, which closes when pytest ends, be it by `kill -9`; then it
kills every process that has the name: workers, servers, browsers, and what they have started.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

VARIABLE = "OPTNAS_TEST_RUN"
ENDED = "ended\n"
PYTEST = os.getppid()
"""Of the watcher: the process whose end it waits for."""


class Watcher:
    """The watcher of this process; what is started from now on belongs to the run.

    Args:
        grace: Seconds that processes have to end by themselves after a run that isn't killed.
    """

    def __init__(self, grace=5.0):
        self.run = f"optnas-tests-{uuid.uuid4().hex}"
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", __file__, self.run, str(grace)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is not for the watcher
        )
        os.environ[VARIABLE] = self.run

    def end(self):
        """The command lines of processes that were left, which are killed."""
        del os.environ[VARIABLE]
        return self._process.communicate(ENDED)[0].splitlines()


def left(run):
    """The processes of a run: their ids with their parents' and command lines."""
    name = f"{VARIABLE}={run}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):  # on Linux; nothing is looked for elsewhere
        with contextlib.suppress(OSError):  # it has ended, or belongs to another user
            if name in (folder / "environ").read_bytes().split(b"\0"):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found[int(folder.name)] = parent, command
    return found


def left_in_the_end(run):
    """Those without the servers of `multiprocessing`, which end when pytest does."""
    found = left(run)
    own = {p for p, (parent, c) in found.items() if parent == PYTEST and "multiprocessing." in c}
    return {pid: command for pid, command in found.items() if pid not in own}


def main(run, grace):
    regular = sys.stdin.read() == ENDED
    deadline = time.monotonic() + float(grace)
    if regular:
        while left_in_the_end(run) and time.monotonic() < deadline:
            time.sleep(0.02)
    killed = {}
    while found := left_in_the_end(run) if regular else left(run):
        killed |= found
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    for folder in Path("/tmp").glob(f"{run}*"):  # of servers, which can't clean up any more
        shutil.rmtree(folder, ignore_errors=True)
    print(*(command for _, command in killed.values()), sep="\n", end="")


if __name__ == "__main__":
    main(*sys.argv[1:])
