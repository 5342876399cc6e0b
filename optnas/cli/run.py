"""The command that runs a study, or resumes it."""

from __future__ import annotations

from typing import Annotated

import typer

from optnas.cli.options import (
    AcceptChanges,
    AnyStudy,
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
    Trials,
    TrialTimeout,
    Workers,
)
from optnas.errors import InputError

RESUME = """Resume a study, from its storage alone: the same command as run.

The study remembers its file, which is imported.
"""


def run(
    study: AnyStudy,
    trials: Trials = None,
    workers: Workers = 1,
    hours: Hours = None,
    storage: Storage = None,
    name: Name = None,
    file: Annotated[
        str | None,
        typer.Option(help="With a storage: the study file, if it isn't where it was."),
    ] = None,
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
    """Run a study, or resume it.

    Options override the study file, and the study remembers them.
    """
    from optnas.cli.run_search import run_search
    from optnas.cli.study_argument import search_of, search_of_study, storage_url
    from optnas.study.load import find_study
    from optnas.study.record import Overrides

    url = storage_url(study)
    if url is None:
        if file is not None:
            raise InputError(f"{study} is a study file already: leave out --file")
        search = search_of(study, storage, name)
    else:
        if storage is not None:
            raise InputError(f"{study} is a storage already: leave out --storage")
        found = find_study(url, name)
        if file is None:
            search = search_of_study(found, url)
        else:
            search = search_of(file, url, found.study_name)
        typer.echo(f"study file: {search.file}", err=True)
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
    run_search(search, overrides, workers, accept_changes)
