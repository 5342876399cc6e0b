"""Several worker processes on one study, which share its storage and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.devices.device import visible_gpus
from optnas.errors import InputError
from optnas.runs.observer import Observer
from optnas.runs.starter import Starter
from optnas.runs.stop import Stop
from optnas.runs.worker_process import Job, WorkerProcesses, worker_environment

MAX_DEATHS = 3
"""The run ends after this many deaths for each worker if no trial has finished meanwhile."""


def check_workers(workers: int, file: Path | None, url: str) -> None:
    """Raises InputError unless worker processes can find the study by themselves."""
    if workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    if workers > 1 and file is None:
        raise InputError(
            f"workers={workers}: workers import the study file, and this search has none: put it "
            "into a file, and run optnas.load_search(file)"
        )
    if workers > 1 and not url:
        raise InputError(
            f"workers={workers}: workers open the storage by its URL: give one in place of an "
            "object"
        )


def run_workers(
    study: Study,
    job: Job,
    number: int,
    *,
    hours: float | None = None,
    threads: int = 1,
    device: str = "auto",
    trial_timeout: float | None = None,
    logs: Path = Path(),
    display: Observer,
    stop: Stop | None = None,
    callbacks: Sequence[Callable[[Study, FrozenTrial], None]] = (),
    starter: Starter | None = None,
) -> None:
    """Runs a study in worker processes, until they find nothing left to do.

    A worker that dies is replaced, and its trial is repeated. The workers get the visible GPUs in
    turn (`CUDA_VISIBLE_DEVICES`), unless `device` names one.

    Args:
        study: The study, which exists in its storage.
        job: What the workers are told to do.
        number: How many workers.
        hours: Time for this call; trials that are running then are finished.
        threads: CPU threads of each worker.
        device: Where the workers train and measure.
        trial_timeout: Seconds after which a trial fails.
        logs: Folder for what the workers print and log.
        display: Told of every trial that begins and ends.
        stop: When it is requested, running trials are finished, and the call returns.
        callbacks: Called with the study and each trial that has ended in a worker.
        starter: Starts the workers, which is made with the same threads; by default a new one.

    Raises:
        InputError: A worker found bad input, or workers die without finishing anything.
        WorkerError: The code failed in a worker.
        KeyboardInterrupt: Running trials are given up and queued again first.
    """
    gpus = visible_gpus() if device in ("auto", "cuda") else []
    deadline = None if hours is None else time.monotonic() + 3600 * hours
    with WorkerProcesses(study, display, logs, callbacks, starter) as processes:

        def start(index: int) -> None:
            environment = worker_environment(threads)
            if gpus:
                environment["CUDA_VISIBLE_DEVICES"] = gpus[index % len(gpus)]
            left = None if deadline is None else max(deadline - time.monotonic(), 0) / 3600
            processes.start(index, replace(job, hours=left), environment)

        if stop is not None:
            stop.pass_on = processes.finish
        for index in range(number):
            if stop is not None and stop.requested:  # while the first one was started
                break
            start(index)
        deaths = 0
        while processes.workers:
            for worker, event in processes.events():
                if "finished" in event:
                    deaths = 0
                if "left" in event and not processes.leave(worker, stop):
                    deaths += 1
                    if deaths > MAX_DEATHS * number:
                        raise InputError(
                            f"{deaths} workers died one after the other without finishing a trial "
                            f"({event['left']}); what they printed is in {logs}"
                        )
                    start(worker.index)
            if trial_timeout is not None:
                processes.end_hanging(trial_timeout)
