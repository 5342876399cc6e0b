"""The process of a worker: what it reports, and what it leaves when it ends."""

import json
import os
import signal
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Thread

import pytest
import warm

from optnas.runs.worker_process import CODE, Job
from optnas.study.leases import _started

STUDY = """
import os, signal, torch, optnas
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Manager
from pathlib import Path
from networks import build_linear, score

def forked():
    pid = os.fork()
    if pid == 0:
        while True:
            signal.pause()
    return pid

def managed():
    global MANAGER
    MANAGER = Manager()
    return MANAGER._process.pid

def pooled():
    global POOL
    POOL = ProcessPoolExecutor(1)
    return POOL.submit(os.getpid).result()

Path("child").write_text(str(START()))

search = optnas.Search(
    space=optnas.FunctionSpace(build_linear, torch.zeros(1, 2)),
    evaluator=optnas.FunctionEvaluator(score, {"loss": "minimize"}),
    objectives=("loss", "params"), sampler="random", trials=1, seed=0, device="cpu",
)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.parametrize("start", ["forked", "managed", "pooled"])
def test_the_reports_end_with_the_worker_whatever_its_study_has_forked(tmp_path, start):
    (tmp_path / "study.py").write_text(STUDY.replace("START", start))
    job = Job("study.py", "sqlite:///a.db", "a", {}, accept_changes=False, describes=True)
    process = warm.run(CODE, folder=str(tmp_path))
    events = []
    reading = Thread(target=lambda: events.extend(map(json.loads, process.stdout)), daemon=True)
    reading.start()
    process.stdin.write(json.dumps(asdict(job)) + "\n")
    process.stdin.flush()
    assert process.wait() == 0
    child = int(Path("child").read_text())
    reading.join(20)
    has_ended, is_left = not reading.is_alive(), _started(child) is not None
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    reading.join()
    process.stdin.close()
    process.stdout.close()
    assert has_ended
    assert [list(event) for event in events] == [["settings"]]
    assert is_left == (start == "forked")  # of which nobody but the study's code knows
