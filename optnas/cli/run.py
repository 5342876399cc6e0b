"""Commands that run a study."""

from __future__ import annotations

from typing import Annotated

import typer

from optnas.cli.options import (
    AcceptChanges,
    Device,
    EarlyStop,
    Epochs,
    EvaluatorName,
    Hours,
    MaxFailures,
    Name,
    Sampler,
    Seed,
    Storage,
    StudyFile,
    Trials,
    TrialTimeout,
    Workers,
)


def run(
    study: StudyFile,
    trials: Trials = None,
    workers: Workers = 1,
    hours: Hours = None,
    storage: Storage = None,
    name: Name = None,
    sampler: Sampler = None,
    seed: Seed = None,
    device: Device = None,
    epochs: Epochs = None,
    early_stop: EarlyStop = None,
    evaluator: EvaluatorName = None,
    trial_timeout: TrialTimeout = None,
    max_failures: MaxFailures = None,
    accept_changes: AcceptChanges = False,
) -> None:
    """Run a study, or go on with it.

    Options override the study file, and the study remembers them.
    """
    from optnas.cli.run_search import run_search
    from optnas.cli.study_argument import search_of
    from optnas.study.record import Overrides

    overrides = Overrides(
        trials=trials,
        hours=hours,
        sampler=sampler,
        seed=seed,
        device=device,
        epochs=epochs,
        early_stop=early_stop,
        trial_timeout=trial_timeout,
        max_failures=max_failures,
        evaluator=evaluator,
    )
    run_search(search_of(study, storage, name), overrides, workers, accept_changes)


def resume(
    storage: Annotated[str, typer.Argument(help="Storage URL, such as sqlite:///study.db.")],
    trials: Trials = None,
    workers: Workers = 1,
    hours: Hours = None,
    name: Name = None,
    file: Annotated[
        str | None, typer.Option(help="The study file, if it isn't where it was.")
    ] = None,
    sampler: Sampler = None,
    device: Device = None,
    epochs: Epochs = None,
    early_stop: EarlyStop = None,
    evaluator: EvaluatorName = None,
    trial_timeout: TrialTimeout = None,
    max_failures: MaxFailures = None,
    accept_changes: AcceptChanges = False,
) -> None:
    """Go on with a study, from its storage alone.

    The study remembers its file, which is imported.
    """
    from optnas.cli.run_search import run_search
    from optnas.cli.study_argument import file_of, search_of
    from optnas.study.load import find_study
    from optnas.study.record import Overrides

    found = find_study(storage, name)
    path = file or file_of(found)
    typer.echo(f"study file: {path}", err=True)
    overrides = Overrides(
        trials=trials,
        hours=hours,
        sampler=sampler,
        device=device,
        epochs=epochs,
        early_stop=early_stop,
        trial_timeout=trial_timeout,
        max_failures=max_failures,
        evaluator=evaluator,
    )
    run_search(search_of(path, storage, found.study_name), overrides, workers, accept_changes)
