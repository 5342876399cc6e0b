"""The tests' own watcher: nothing that a run has started outlives it."""

import os
import subprocess
import sys

import psutil
import pytest
from command_line import environment

RUN = """
import subprocess, sys
import leftovers

watcher = leftovers.Watcher(grace=0.0)
# As a worker's child: of a session of its own, and deaf to signals that can be heard.
code = "import signal, subprocess, sys; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32)); " \\
    "print(subprocess.Popen(['sleep', '1000']).pid, flush=True); signal.pause()"
child = subprocess.Popen(
    [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
)
print(child.pid, int(child.stdout.readline()), flush=True)
input()
print(watcher.end(), flush=True)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="processes are found as on Linux")
@pytest.mark.parametrize("killed", [True, False])
def test_what_a_run_has_started_ends_with_it(killed):
    process = subprocess.Popen(
        [sys.executable, "-c", RUN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    pids = process.stdout.readline().split()
    children = [psutil.Process(int(pid)) for pid in pids]
    assert all(child.is_running() for child in children)
    if killed:
        process.kill()
    out, _ = process.communicate("go on\n")
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
    assert ("sleep 1000" in out) == (not killed)
