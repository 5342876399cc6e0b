"""`optnas run` and `optnas resume`: run a study, or resume it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from optnas.cli.console import echo, fail
from optnas.cli.options import (
    AcceptChanges,
    AnyStudy,
    Detach,
    Device,
    DryRunOption,
    EarlyStop,
    Epochs,
    EvaluatorName,
    File,
    GpusPerWorker,
    Hours,
    MaxFailures,
    Name,
    On,
    RayAddress,
    RayWorkingDir,
    ReferencePoint,
    Sampler,
    Seed,
    SetOptions,
    SlurmSettings,
    Storage,
    TargetName,
    Trials,
    TrialTimeout,
    Trust,
    UntilFlat,
    WarmStart,
    Workers,
    settings,
)
from optnas.errors import InputError, Interrupted, Terminated, WorkerError

if TYPE_CHECKING:  # they import torch, which takes a second
    from optnas.clusters import Cluster
    from optnas.search.search import Search
    from optnas.study.record import Overrides

STOPPED, INTERRUPTED, TERMINATED = 3, 130, 143
"""Exit codes: after one Ctrl-C (running trials were finished), after a second one, and after
SIGTERM or SIGHUP."""
_ELSEWHERE: dict[object, int] = {
    128 + signal.SIGINT: STOPPED,
    128 + getattr(signal, "SIGHUP", 1): TERMINATED,
}
"""Those of signals that come while no trial runs, by the codes that other commands have then."""


@contextmanager
def _ending_as_a_run() -> Iterator[None]:
    """Gives a signal the exit code of a run before its first trial and after its last one, too."""
    try:
        yield
    except Interrupted as interrupted:
        raise Interrupted(_ELSEWHERE.get(interrupted.code, interrupted.code)) from None


RESUME = """Resume a study; naming its storage is enough.

The study remembers which study file made it, and that file is imported if you have used it before;
--trust imports another one. `run` takes the same arguments and does the same.
"""


@_ending_as_a_run()
def run(
    study: AnyStudy,
    trials: Trials = None,
    workers: Workers = 1,
    hours: Hours = None,
    until_flat: UntilFlat = None,
    storage: Storage = None,
    name: Name = None,
    file: File = None,
    trust: Trust = False,
    sampler: Sampler = None,
    seed: Seed = None,
    device: Device = None,
    epochs: Epochs = None,
    early_stop: EarlyStop = None,
    evaluator: EvaluatorName = None,
    target: TargetName = None,
    reference: ReferencePoint = None,
    warm_start: WarmStart = None,
    changed: SetOptions = None,
    trial_timeout: TrialTimeout = None,
    max_failures: MaxFailures = None,
    accept_changes: AcceptChanges = False,
    on: On = None,
    ray_address: RayAddress = None,
    ray_working_dir: RayWorkingDir = None,
    gpus_per_worker: GpusPerWorker = None,
    slurm: SlurmSettings = None,
    detach: Detach = False,
    dry_run: DryRunOption = False,
) -> None:
    """Run a study, or resume it.

    Options override the study file, and the study remembers them.
    """
    from optnas.cli.cluster_options import chosen_cluster
    from optnas.cli.locate import located
    from optnas.cli.study_argument import search_of, search_of_study
    from optnas.storage.urls import Location, database_url
    from optnas.study.load import find_study
    from optnas.study.record import Overrides

    cluster = chosen_cluster(
        on,
        workers,
        ray_address=ray_address,
        ray_working_dir=ray_working_dir,
        gpus_per_worker=gpus_per_worker,
        slurm=slurm,
        detach=detach,
    )
    echo(f"loading {study}: PyTorch takes some seconds", err=True)
    study, name = located(study, name)
    url = database_url(study)
    if url is None:
        if file is not None:
            raise InputError(f"{study} is a study file already: leave out --file")
        search = search_of(study, storage, name)
    else:
        if storage is not None:
            raise InputError(f"{study} is a storage already: leave out --storage")
        found = find_study(url, name)
        if file is None:
            search = search_of_study(found, Location.here(url), trust=trust)
        else:
            search = search_of(file, url, found.study_name)
        echo(f"study file: {search.file}", err=True)
    overrides = Overrides(
        trials=trials,
        hours=hours,
        until_flat=until_flat,
        sampler=sampler,
        seed=seed,
        device=device,
        epochs=epochs,
        early_stop=early_stop,
        trial_timeout=trial_timeout,
        max_failures=max_failures,
        evaluator=evaluator,
        target=target,
        reference=reference,
        warm_start=warm_start,
        settings=settings(changed),
    )
    if dry_run:
        _dry_run(search, overrides, workers)
    else:
        _run(search, overrides, workers, accept_changes, cluster)


def _dry_run(search: Search, overrides: Overrides, workers: int) -> None:
    """Shows what a run would do; exit code 2 if it would be refused."""
    from optnas.cli.usage import in_options
    from optnas.runs.workers import check_workers

    check_workers(workers, search.file, search.url)
    search = search.override(search.remembered().updated(overrides))
    found = search.dry_run(workers=workers)
    echo(in_options(str(found)))
    echo("a dry run: nothing was written", err=True)
    if found.refused:
        raise typer.Exit(2)


def _other_settings(remembered: Overrides, given: Overrides) -> dict[str, dict[str, str] | None]:
    """The remembered `settings` that aren't given anew."""
    anew = given.settings or {}
    kept = {name: text for name, text in (remembered.settings or {}).items() if name not in anew}
    return {"settings": kept or None}


def _run(
    search: Search,
    overrides: Overrides,
    workers: int,
    accept_changes: bool,
    cluster: Cluster | None,
) -> None:
    """Runs a search with the overrides of this and of earlier runs; then shows the front."""
    from optnas.cli.run_summary import kept_line, show_end, show_left
    from optnas.cli.study_argument import show_header
    from optnas.devices.device import usable_cores
    from optnas.runs.progress import Progress, number_counted
    from optnas.runs.stop import Stop, stopping
    from optnas.runs.workers import check_workers
    from optnas.search.import_check import checked_import
    from optnas.search.open import open_study
    from optnas.search.run import connected, observed_objective, run_study
    from optnas.search.warm_start import remembered_warm_start
    from optnas.utils.text import plural

    check_workers(workers, search.file, search.url)
    remembered = search.remembered()
    nothing = dict.fromkeys(overrides.given())
    options = replace(remembered, **nothing | _other_settings(remembered, overrides)).as_options()
    if options:
        listed = " ".join(f"{option} {value}".rstrip() for option, value in options.items())
        echo(f"remembered from earlier runs: {listed}", err=True)
    search = search.override(remembered.updated(overrides))
    if overrides.warm_start is not None:
        overrides = replace(overrides, warm_start=remembered_warm_start(search.warm_start))
    cores = usable_cores()
    if cluster is None and workers * search.threads > max(cores, search.threads):
        echo(f"{workers} workers share {plural(cores, 'CPU core')}", err=True)
    show_header(search)
    display, stop = Progress(), Stop()
    detach = cluster is not None and cluster.detach
    try:
        with connected(cluster, search, workers) as remote:
            objective = observed_objective(search, display)
            checked = checked_import(
                search, objective, workers=workers, accept_changes=accept_changes, remote=remote
            )
            with checked as starter:
                study = open_study(
                    search, objective, overrides=overrides, accept_changes=accept_changes
                )
                there = number_counted(study)
                if there:
                    wanted = plural(search.trials, "trial is", "trials are")
                    echo(f"{there} of {wanted} done already", err=True)
                with (
                    display.following(study, search.trials),
                    stopping(stop, display.say, terminate=True),
                ):
                    run_study(
                        search,
                        objective,
                        study,
                        display,
                        stop,
                        workers=workers,
                        accept_changes=accept_changes,
                        remote=remote,
                        detach=detach,
                        starter=starter,
                    )
    except KeyboardInterrupt as interrupt:
        code = TERMINATED if isinstance(interrupt, Terminated) else INTERRUPTED
        fail(
            f"interrupted; running trials are repeated next time. {kept_line(study, search)}", code
        )
    except WorkerError as error:
        fail(f"the code failed in a worker:\n{error}", 1)
    if stop.requested and number_counted(study) < search.trials:
        how = "; running trials were finished" if study.trials else " before the first trial"
        fail(f"stopped{how}. {kept_line(study, search)}", STOPPED)
    if detach:
        show_left(study, search)
    else:
        show_end(study, search)
