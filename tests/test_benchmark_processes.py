"""The processes of a benchmark end with it."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPT = """
import os
import threading

from common.comparison import run_all


def stay():
    print(os.getpid(), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    list(run_all(stay, [()], 1))
"""


def test_a_killed_benchmark_leaves_no_worker(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    paths = [str(BENCHMARKS), *filter(None, [os.environ.get("PYTHONPATH")])]
    parent = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    with parent:
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    psutil.wait_procs([worker], timeout=30)
    assert not worker.is_running()
