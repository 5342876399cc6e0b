"""Runs one worker process on a node of a cluster, and starts it again when it dies.

It is the local end of a worker that Ray or SLURM starts. The worker is a process of its own: so it
is told to finish or to end by signals, as on one machine, its crash is no crash of the cluster's
process, and it queues its trial again as soon as the cluster's process is gone.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from optnas.clusters.base import Ending, NodeJob
from optnas.runs.starter import PATIENCE, Anew
from optnas.runs.worker import Worker, end_hanging
from optnas.runs.worker_process import CODE, how_ended
from optnas.storage.open import open_storage
from optnas.storage.urls import storage_path
from optnas.study.load import load_study

MAX_DEATHS = 3
"""A worker that has died this many times without finishing a trial isn't started again here."""
POLL = 0.5
"""Seconds between two looks at the process."""
TERMINATED = 143
"""The exit code of a worker that SIGTERM ended."""


class NodeWorker:
    """A worker on this node.

    Args:
        job: What it does.
        log: The descriptor of a file for what it prints and logs.
    """

    def __init__(self, job: NodeJob, log: int) -> None:
        self._job = job
        self._log = log
        self._starter = Anew(CODE)
        self._worker: Worker | None = None
        self._finishing = self._ending = False
        self._deaths = 0
        self._error = Ending()

    def run(self, look: Callable[[], None] = lambda: None) -> Ending:
        """Runs the worker to its end.

        Args:
            look: Called a few times a second while it runs.
        """
        if problem := self._problem():
            return Ending(error=f"node {socket.gethostname()} {problem}", is_input=True)
        while not (self._finishing or self._ending):
            left = self._hours_left()
            if left is not None and left <= 0:
                break
            worker = self._start(left)
            try:
                while worker.listener is not None and not worker.ended(POLL):
                    look()
                    self._end_if_hanging(worker)
            except BaseException:
                worker.process.kill()  # the cluster ends this process: nothing may be left
                raise
            finally:
                self._worker = None
                worker.close()
            code = worker.process.wait()
            if self._error.error:
                return self._error
            if code == 0 or self._finishing or self._ending:
                break
            if code == TERMINATED:
                return Ending(why="it was told to end")
            self._deaths += 1
            if self._deaths > MAX_DEATHS:
                times = f"{self._deaths} times without finishing a trial"
                return Ending(why=f"it died {times}, the last time with {how_ended(code)}")
            self._note(f"the worker died ({how_ended(code)}); another one is started")
        return Ending()

    def finish(self) -> None:
        """Lets the worker finish its trial and end."""
        self._finishing = True
        if (worker := self._worker) is not None:
            worker.finish()

    def end(self, after: float = 0.0) -> None:
        """Ends the worker, which queues its trial again; kills it if it doesn't end in a while.

        Args:
            after: Seconds in which it may end by itself, where it has had the same signal as this
                process: a second one would interrupt what it does about the first.
        """
        self._ending = True
        if (worker := self._worker) is None or worker.ended(after):
            return
        worker.process.terminate()
        if not worker.ended(PATIENCE):
            worker.process.kill()

    def _problem(self) -> str:
        """Why a worker can't run here; empty if it can."""
        job = self._job.job
        here = version("optnas")
        if here != self._job.version:
            return f"has optnas {here}, and the run has {self._job.version}: install the same"
        shared = (
            "the nodes need the same folder at the same path, such as one of a network file system"
        )
        if not (Path(job.folder or ".") / job.file).is_file():
            return (
                f"has no study file {job.file}: {shared}; on Ray, the setting working_dir copies a "
                "folder to each of them"
            )
        path = storage_path(job.url)
        if path is not None and not path.is_file():
            return f"has no database {path}: {shared}; or give the URL of a PostgreSQL server"
        return ""

    def _hours_left(self) -> float | None:
        deadline = self._job.deadline
        return None if deadline is None else (deadline - time.time()) / 3600

    def _start(self, hours: float | None) -> Worker:
        threads = str(self._job.threads)
        environment = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), threads)
        environment |= os.environ
        job = replace(self._job.job, hours=hours)
        name = f"optnas work {self._job.index + 1}"
        process = self._starter.start(name, os.dup(self._log), environment, job.folder)
        worker = Worker(self._job.index, process)
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it has died already
            process.stdin.write(json.dumps(asdict(job)) + "\n")
            process.stdin.flush()
        worker.listener = threading.Thread(target=self._listen, args=(worker,), daemon=True)
        worker.listener.start()
        self._worker = worker
        if self._finishing:  # since before this one was known
            worker.finish()
        if self._ending:
            worker.process.terminate()
        return worker

    def _listen(self, worker: Worker) -> None:
        assert worker.process.stdout is not None
        with worker.process.stdout as lines:
            for line in lines:
                with suppress(ValueError):  # half a line: it was killed
                    self._take_in(worker, json.loads(line))
        worker.process.wait()

    def _take_in(self, worker: Worker, event: dict[str, Any]) -> None:
        worker.take_in(event)
        if "finished" in event:
            self._deaths = 0
        elif "error" in event:
            self._error = Ending(error=event["error"], is_input=event["input"])
        elif "remark" in event:
            self._note(event["remark"])

    def _note(self, text: str) -> None:
        with suppress(OSError):  # a full disk
            os.write(self._log, f"{text}\n".encode())

    def _end_if_hanging(self, worker: Worker) -> None:
        timeout = self._job.trial_timeout
        if timeout is not None and (hanging := worker.hanging(timeout)) is not None:
            job = self._job.job
            study = load_study(open_storage(job.url, create=True), job.name)
            if study is not None:
                end_hanging(worker, hanging, study, timeout)
