"""Drives a run whose workers are on a cluster: starts them, follows the study, ends them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.clusters.base import Ending, NodeJob, Workers
from optnas.clusters.follower import Follower
from optnas.errors import InputError, WorkerError
from optnas.runs.logs import remove_empty
from optnas.runs.observer import Observer
from optnas.runs.recovery import give_up_all
from optnas.runs.stop import Stop
from optnas.runs.tally import Tally
from optnas.runs.worker_process import Job

POLL = 1.0
"""Seconds between two looks at the study and the workers."""
MAX_DEATHS = 3
"""The run ends after this many deaths for each worker if no trial has finished meanwhile."""


def run_on_cluster(
    study: Study,
    job: Job,
    number: int,
    workers: Workers,
    *,
    trials: int,
    hours: float | None = None,
    threads: int = 1,
    trial_timeout: float | None = None,
    logs: Path,
    display: Observer,
    stop: Stop,
    detach: bool = False,
    callbacks: Sequence[Callable[[Study, FrozenTrial], None]] = (),
) -> None:
    """Runs a study in workers on a cluster, until they find nothing left to do.

    A worker that ends before that is replaced, and its trial is repeated.

    Args:
        study: The study, which exists in its storage, with its baselines queued.
        job: What each worker is told to do.
        number: How many workers.
        workers: The cluster.
        trials: The number of trials that count to reach.
        hours: Time for this call; trials that are running then are finished.
        threads: CPU threads of each worker.
        trial_timeout: Seconds after which a trial fails.
        logs: Folder for what the workers print and log.
        display: Told of every trial that begins and ends.
        stop: When it is requested, running trials are finished, and the call returns.
        detach: Whether the call returns once the workers are started, and leaves them alone.
        callbacks: Called with the study and each trial that has ended in a worker.

    Raises:
        InputError: A worker found bad input, or workers end without finishing anything.
        WorkerError: The code failed in a worker.
        KeyboardInterrupt: Running trials are given up and queued again first.
    """
    deadline = None if hours is None else time.time() + 3600 * hours
    first = [
        NodeJob(_named(job), index, threads, deadline, trial_timeout) for index in range(number)
    ]
    if workers.remark:
        display.say(workers.remark)
    if detach:
        display.say(f"{workers.start(first, str(logs))}: started, and left to the cluster")
        return
    driver = _Driver(study, workers, logs, Follower(study, display, callbacks), display)
    try:
        driver.start(first)
        driver.follow(trials, deadline, stop)
    finally:
        driver.end()


class _Driver:
    """A run on a cluster, and its living workers."""

    def __init__(
        self, study: Study, workers: Workers, logs: Path, follower: Follower, display: Observer
    ) -> None:
        self._study = study
        self._workers = workers
        self._logs = logs
        self._display = display
        self._follower = follower
        self._living: dict[str, NodeJob] = {}
        self._started: list[NodeJob] = []
        self._deaths = 0

    def start(self, jobs: Sequence[NodeJob]) -> None:
        """Starts workers."""
        self._living |= {job.job.worker: job for job in jobs}
        self._started += jobs
        started = self._workers.start(jobs, str(self._logs))
        self._display.say(f"started: {started}")

    def follow(self, trials: int, deadline: float | None, stop: Stop) -> None:
        """Follows the study until no worker is left."""
        is_ending = False
        most = MAX_DEATHS * len(self._living)
        while self._living:
            if self._follower.look():
                self._deaths = 0
            is_over = deadline is not None and time.time() >= deadline
            if not is_ending and (stop.requested or is_over or self._follower.counted >= trials):
                is_ending = True
                self._workers.finish()
            ended = self._workers.ended()
            lost = [job for job, ending in ended if self._is_lost(job, ending)]
            if lost and not is_ending:
                if self._deaths > most:
                    raise InputError(
                        f"{self._deaths} workers ended one after the other without finishing a "
                        f"trial ({ended[-1][1].why}); what they printed is in {self._logs}"
                    )
                self.start([replace(job, job=_named(job.job)) for job in lost])
            if not ended:
                time.sleep(POLL)
        self._follower.look()

    def _is_lost(self, job: NodeJob, ending: Ending) -> bool:
        """Whether another worker has to take the place of one that has ended."""
        del self._living[job.job.worker]
        if ending.error:
            raise (InputError if ending.is_input else WorkerError)(ending.error)
        if not ending.why:
            return False
        # At once: its lease may expire in minutes. The next worker that is free repeats the trial.
        give_up_all(self._study, [job.job.worker])
        self._deaths += 1
        self._display.say(f"worker {job.index + 1} ended early: {ending.why}")
        return not ending.is_cancelled

    def end(self) -> None:
        """Ends what is left; the trials of workers that can't do so any more are queued again."""
        self._workers.end()
        if self._living:
            give_up_all(self._study, self._living)
            Tally(self._study).recover()
        # A job that was requeued may have run on several nodes.
        logs = [log for job in self._started for log in self._logs.glob(job.log_name("*"))]
        remove_empty(self._logs, logs)


def _named(job: Job) -> Job:
    """The job of a new worker, with an id of its own."""
    return replace(job, worker=uuid.uuid4().hex)
