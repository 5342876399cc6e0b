"""What runs in a SLURM job: it holds one worker, and requeues the job before it is pre-empted.

What submitit and SLURM do to the process:

- Before the time limit, and where a site announces a pre-emption by it, SIGUSR2 comes (SIGUSR1 is
  taken for the same). submitit calls `checkpoint`, requeues the job, and ends the process.
- SIGTERM comes with a pre-emption that SLURM itself follows by a requeue, and with `scancel`. In
  either case SLURM kills the process later. The process waits for that: if it ended by itself, the
  job would be done, and SLURM wouldn't requeue it.

The worker gets these signals, too, and queues its trial again at once.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from optnas.clusters.base import Ending, NodeJob
from optnas.clusters.node_worker import POLL, NodeWorker
from optnas.runs.logs import in_folder, open_log

FINISH, END = "finish", "end"
"""The files by which a run tells its jobs what to do, in the folder that it shares with them."""
GRACE = 1.0
"""Seconds in which a worker that has had a signal begins to end by itself."""
KILLED_BY = 3600.0
"""Seconds until which SLURM must have killed a job that it has sent SIGTERM."""


class SlurmNode:
    """Holds a worker; submitit pickles it, and calls it in the job.

    Args:
        job: What the worker does.
        folder: The folder that the run shares with its jobs.
        logs: The study's folder of logs.
    """

    def __init__(self, job: NodeJob, folder: str, logs: str) -> None:
        self._job = job
        self._folder = folder
        self._logs = logs
        self._worker: NodeWorker | None = None
        self._told = 0.0

    def __call__(self) -> Ending:
        """Runs the worker to its end."""
        signal.signal(signal.SIGTERM, self._terminate)
        signal.signal(signal.SIGUSR1, signal.getsignal(signal.SIGUSR2))
        path = Path(self._logs) / self._job.log_name(socket.gethostname())
        log = in_folder(path.parent, partial(open_log, path))
        try:
            self._worker = NodeWorker(self._job, log)
            ending = Ending() if self._is_told(FINISH) else self._worker.run(self._look)
        finally:
            os.close(log)
        if self._told and os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
            deadline = time.monotonic() + KILLED_BY
            while not self._is_told(END) and time.monotonic() < deadline:
                time.sleep(POLL)
        return ending

    def checkpoint(self) -> Any:
        """Ends the worker, whose job submitit is about to requeue; gives what it runs then."""
        from submitit.helpers import DelayedSubmission

        if self._worker is not None:
            self._worker.end(after=GRACE)
        return DelayedSubmission(SlurmNode(self._job, self._folder, self._logs))

    def _terminate(self, _signal: int, _frame: FrameType | None) -> None:
        self._told = self._told or time.monotonic()

    def _look(self) -> None:
        assert self._worker is not None
        if self._told and time.monotonic() > self._told + GRACE:
            self._worker.end()
        elif self._is_told(FINISH):
            self._worker.finish()

    def _is_told(self, what: str) -> bool:
        return (Path(self._folder) / what).exists()
