"""Several processes on one study, which share its storage and nothing else."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from optuna.study import Study

from optnas.devices.device import visible_gpus
from optnas.errors import InputError
from optnas.runs.stop import Stop
from optnas.runs.worker_process import Display, Job, WorkerProcesses

MAX_DEATHS = 3
"""The run ends when so many deaths a worker leave no trial finished between them."""


def check_workers(workers: int, file: Path | None, url: str) -> None:
    """Raises InputError unless processes can be started that find the study by themselves."""
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
    display: Display,
    stop: Stop | None = None,
) -> None:
    """Runs a study in processes of its own, until they find nothing left to do.

    A worker that dies is replaced, and its trial is repeated. The GPUs that are visible here are
    dealt out in turn (`CUDA_VISIBLE_DEVICES`), unless `device` names one.

    Args:
        study: The study, made already.
        job: What the workers are told.
        number: How many workers.
        hours: Time for this call; what is running then is finished.
        threads: CPU threads of each worker.
        device: Where they train and measure.
        trial_timeout: Seconds after which a trial fails.
        logs: Folder for what workers print and log.
        display: Told of every trial that begins and ends.
        stop: When it is requested, running trials are finished, and the call returns.

    Raises:
        InputError: A worker found bad input, or workers die without finishing anything.
        WorkerError: The code failed in a worker.
        KeyboardInterrupt: Running trials are given up and queued again first.
    """
    gpus = visible_gpus() if device in ("auto", "cuda") else []
    deadline = None if hours is None else time.monotonic() + 3600 * hours
    with WorkerProcesses(study, display, logs) as crew:

        def start(index: int) -> None:
            environment = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
            environment |= os.environ
            if gpus:
                environment["CUDA_VISIBLE_DEVICES"] = gpus[index % len(gpus)]
            left = None if deadline is None else max(deadline - time.monotonic(), 0) / 3600
            crew.start(index, replace(job, hours=left), environment)

        if stop is not None:
            stop.pass_on = crew.finish
        for index in range(number):
            start(index)
        deaths = 0
        while crew.workers:
            for worker, event in crew.events():
                if "finished" in event:
                    deaths = 0
                if "left" in event and not crew.leave(worker, stop):
                    deaths += 1
                    if deaths > MAX_DEATHS * number:
                        raise InputError(
                            f"{deaths} workers died one after the other without finishing a trial "
                            f"({event['left']}); what they printed is in {logs}"
                        )
                    start(worker.index)
            if trial_timeout is not None:
                crew.end_hanging(trial_timeout)
