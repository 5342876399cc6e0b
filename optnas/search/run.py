"""Runs a search: in this process, in several, or as one of several.

A run makes one `Objective`. It is made first, because opening the study takes it; the study's
sampler, the preparation of the evaluator and the trials use the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.clusters.base import Cluster, Need, Workers
from optnas.clusters.drive import run_on_cluster
from optnas.clusters.named import named_cluster
from optnas.devices.device import cpu_threads
from optnas.errors import InputError, StoppedError
from optnas.objective.objective import Objective
from optnas.objective.run_evaluator import Listener
from optnas.pareto.growth import Growth, growth, is_flat
from optnas.pareto.held_bounds import newer_bounds
from optnas.runs.listeners import listening
from optnas.runs.loop import queue_baselines, run_trials
from optnas.runs.observer import Observer
from optnas.runs.progress import Progress, number_counted
from optnas.runs.starter import Starter
from optnas.runs.stop import Stop, stopping
from optnas.runs.workers import check_workers, run_workers
from optnas.samplers.gradient import GradientSampler, relaxed_text
from optnas.samplers.language_model import usage_text
from optnas.samplers.source import learned_text
from optnas.search.baselines import untrained_baselines
from optnas.search.fits import first_look
from optnas.search.import_check import checked_import
from optnas.search.job import job_of
from optnas.search.open import open_study
from optnas.search.settings import Settings
from optnas.study.fingerprint import check_same_weights
from optnas.study.folders import LOGS, files_of
from optnas.utils.terminal import Terminal

Callback = Callable[[Study, FrozenTrial], None]


def run_search(
    search: Settings,
    *,
    workers: int,
    progress: bool,
    accept_changes: bool,
    on: str | Cluster | None = None,
) -> Study:
    """Opens and runs the study of a search (see `Search.run`)."""
    cluster = named_cluster(on)
    check_workers(workers, search.file, search.url)
    display = Progress(Terminal(stderr=True, quiet=not progress))
    with connected(cluster, search, workers) as remote:
        objective = observed_objective(search, display)
        checked = checked_import(
            search, objective, workers=workers, accept_changes=accept_changes, remote=remote
        )
        with checked as starter:
            study = open_study(search, objective, accept_changes=accept_changes)
            stop = Stop()
            with display.following(study, search.trials), stopping(stop, display.say):
                run_study(
                    search,
                    objective,
                    study,
                    display,
                    stop,
                    workers=workers,
                    accept_changes=accept_changes,
                    remote=remote,
                    detach=cluster is not None and cluster.detach,
                    starter=starter,
                )
    if stop.requested:
        raise KeyboardInterrupt
    if flat := ended_flat(search, study):
        display.say(
            f"{flat.text}: the run ends (until_flat={flat.last}). until_flat=0 continues to "
            f"{search.trials} trials"
        )
    for text in filter(None, (usage_text(study), relaxed_text(study))):
        display.say(text)
    display.show_front()
    return study


@contextmanager
def connected(cluster: Cluster | None, search: Settings, workers: int) -> Iterator[Workers | None]:
    """Connects to a cluster until the block ends, before the study is opened; None for none.

    Raises:
        InputError: The cluster can't be used for this search, or there is only one worker.
    """
    if cluster is None:
        yield None
        return
    if workers < 2:
        raise InputError(f"a run on a cluster needs workers={workers} to be at least 2")
    assert search.file is not None  # since `check_workers`
    file = str((search.root / search.file).absolute())
    need = Need(search.location.absolute_url, file, workers, search.threads, search.device)
    with cluster.connect(need) as remote:
        yield remote


def ended_flat(search: Settings, study: Study) -> Growth | None:
    """What the last trials added, if a run has ended because that was next to nothing."""
    if number_counted(study) >= search.trials or not is_flat(study, search.until_flat):
        return None
    return growth(study, search.until_flat)


def observed_objective(search: Settings, observer: Observer) -> Objective:
    """The search's objective; an observer is told of its epochs and of long decisions."""
    listeners: list[Listener] = []
    if observer.shows_epochs:
        listeners = [lambda t, step, scores: observer.epoch(t.number, step, scores)]
    objective = search.objective(listeners)
    objective.choosing = observer.choosing
    return objective


def run_study(
    search: Settings,
    objective: Objective,
    study: Study,
    display: Observer,
    stop: Stop,
    *,
    workers: int,
    accept_changes: bool,
    remote: Workers | None = None,
    detach: bool = False,
    starter: Starter | None = None,
) -> None:
    """Runs an open study, in this process or in several worker processes.

    Args:
        search: The search.
        objective: Its objective.
        study: Its study, from `open_study`.
        display: Shows the run.
        stop: When it is requested, running trials are finished, and the call returns.
        workers: Processes that run trials; one is this process.
        accept_changes: Whether settings may differ from the study's.
        remote: The cluster that runs the workers; None starts them on this machine.
        detach: Whether to return once a cluster runs them.
        starter: What `checked_import` gave; starts the workers on this machine.
    """
    with listening(search.listeners, study, objective) as callbacks:
        if search.warm_start:
            display.say(learned_text(study))
        newer = newer_bounds(study.get_trials(deepcopy=False), search.bounds, objective.known)
        for text in (*untrained_baselines(objective, study), *newer):
            display.say(text)
        if search.target and not number_counted(study) and (text := first_look(search, objective)):
            display.say(text)
        if workers == 1:
            run_here(
                search,
                objective,
                study,
                display,
                stop,
                hours=search.hours,
                accept_changes=accept_changes,
                callbacks=callbacks,
            )
            return
        # The preparation is done here, where its progress is seen; the workers find it done.
        if not _prepare(search, objective, study, display, stop, accept_changes):
            return
        queue_baselines(study, objective.baseline_params)
        job = job_of(search, accept_changes=accept_changes, epochs=display.shows_epochs)
        logs = files_of(study, search.location).path(LOGS)
        if remote is not None:
            run_on_cluster(
                study,
                replace(job, epochs=False),
                workers,
                remote,
                trials=search.trials,
                hours=search.hours,
                threads=search.threads,
                trial_timeout=search.trial_timeout,
                logs=logs,
                display=display,
                stop=stop,
                detach=detach,
                callbacks=callbacks,
            )
            return
        run_workers(
            study,
            job,
            workers,
            hours=search.hours,
            threads=search.threads,
            device=search.device,
            trial_timeout=search.trial_timeout,
            logs=logs,
            display=display,
            stop=stop,
            callbacks=callbacks,
            starter=starter,
        )


def run_here(
    search: Settings,
    objective: Objective,
    study: Study,
    observer: Observer,
    stop: Stop,
    *,
    hours: float | None,
    accept_changes: bool,
    worker: str = "",
    callbacks: Sequence[Callback] = (),
) -> None:
    """Runs trials of an open study in this process; others may run theirs at the same time."""
    if not _prepare(search, objective, study, observer, stop, accept_changes):
        return
    with cpu_threads(search.threads):
        run_trials(
            study,
            objective,
            trials=search.trials,
            hours=hours,
            until_flat=search.until_flat,
            baselines=objective.baseline_params,
            trial_timeout=search.trial_timeout,
            max_failures=search.max_failures,
            observer=observer,
            stop=stop,
            worker=worker,
            callbacks=callbacks,
        )


def _prepare(
    search: Settings,
    objective: Objective,
    study: Study,
    observer: Observer,
    stop: Stop,
    accept_changes: bool,
) -> bool:
    """Prepares evaluator and sampler; False if the run was stopped before that was done."""
    try:
        with cpu_threads(search.threads):
            made = objective.prepare(observer.say, lambda: stop.requested)
            if isinstance(study.sampler, GradientSampler):
                study.sampler.prepare(study, observer.say, lambda: stop.requested)
    except StoppedError:
        return False
    check_same_weights(study, made, accept_changes)
    return True
