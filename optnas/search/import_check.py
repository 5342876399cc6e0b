"""Whether a worker process finds in the study file what this process has found.

It is asked before a study is made: a worker imports the file anew, and data that are drawn without
a seed would be other data there. A study that has results needs no question: what this process has
found is compared with what the study keeps.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

from optnas.clusters.base import Workers
from optnas.objective.objective import Objective
from optnas.runs.starter import Process, Starter
from optnas.runs.worker import Event
from optnas.runs.worker_process import Job, raise_error, worker_environment, worker_starter
from optnas.search.job import job_of
from optnas.search.open import existing_study
from optnas.search.settings import Settings
from optnas.study.attributes import is_counted
from optnas.study.fingerprint import check_same_import


@contextmanager
def checked_import(
    search: Settings,
    objective: Objective,
    *,
    workers: int,
    accept_changes: bool = False,
    remote: Workers | None = None,
) -> Iterator[Starter | None]:
    """Asks a worker process for its settings before the block, if the study has no result yet.

    Args:
        search: The search.
        objective: Its objective.
        workers: The number of workers.
        accept_changes: Whether settings may differ.
        remote: The cluster that runs the workers; nothing is asked there.

    Yields:
        What has started that process, and can start the others; None if nothing was asked.

    Raises:
        InputError: The settings differ, or the file can't be imported there.
        WorkerError: The code failed there.
    """
    if workers == 1 or remote is not None or accept_changes or _has_results(search):
        yield None
        return
    starter = worker_starter(Path(os.devnull))
    try:
        _check(search, objective, starter)
        yield starter
    finally:
        starter.close()


def _has_results(search: Settings) -> bool:
    study = existing_study(search)
    return study is not None and any(map(is_counted, study.get_trials(deepcopy=False)))


def _check(search: Settings, objective: Objective, starter: Starter) -> None:
    job = replace(job_of(search, accept_changes=False, epochs=False), describes=True)
    environment = worker_environment(search.threads)
    process = starter.start("optnas check", Path(os.devnull), environment, job.folder)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with process.stdout:
            for event in _events(process, job):
                raise_error(event)
                if "settings" in event:
                    check_same_import(search.fingerprint(objective), event["settings"])
    finally:
        process.kill()
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()


def _events(process: Process, job: Job) -> Iterator[Event]:
    """What the process reports until it ends; nothing if it dies, as the workers may then, too."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.write(json.dumps(asdict(job)) + "\n")
        process.stdin.flush()
    for line in process.stdout:
        with suppress(ValueError):  # half a line: it was killed
            yield json.loads(line)
