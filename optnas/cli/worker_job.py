"""What a worker process does: its imports take seconds, unless it was forked with them."""

from __future__ import annotations

import warnings

import optuna

from optnas.cli.study_argument import search_of
from optnas.runs.listeners import listening
from optnas.runs.observer import Observer
from optnas.runs.stop import Stop
from optnas.runs.worker_process import Job
from optnas.search.open import join_study
from optnas.search.run import observed_objective, run_here
from optnas.search.search import Search
from optnas.study.record import Overrides


def settings(job: Job) -> dict[str, str]:
    """The settings that this process finds in the job's study file."""
    search = _search(job)
    return search.fingerprint(search.objective())


def _search(job: Job) -> Search:
    return search_of(job.file, job.url, job.name).override(Overrides(**job.overrides))


def work(job: Job, observer: Observer, stop: Stop) -> None:
    """Runs trials of the job's study until nothing is left to do."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    search = _search(job)
    objective = observed_objective(search, observer)
    study = join_study(search, objective, accept_changes=job.accept_changes)
    with listening(search.listeners, study, objective, joined=True) as callbacks:
        run_here(
            search,
            objective,
            study,
            observer,
            stop,
            hours=job.hours,
            accept_changes=job.accept_changes,
            worker=job.worker,
            callbacks=callbacks,
        )
