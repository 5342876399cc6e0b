"""A run on the command line: what it prints before, during and after it."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace

import optuna
import typer
from optuna.study import Study

from optnas.cli.console import fail, show, write_figure
from optnas.cli.tables import failure_line, front_table
from optnas.errors import Terminated, WorkerError
from optnas.evaluators import SharedWeightsEvaluator
from optnas.pareto.front import front
from optnas.plots import pareto_data, pareto_figure
from optnas.runs.progress import Progress, number_counted
from optnas.runs.stop import Stop, stopping
from optnas.runs.workers import check_workers
from optnas.search.open import open_study
from optnas.search.run import observed_objective, run_study
from optnas.search.search import Search
from optnas.storage.urls import shown_url
from optnas.study.record import Overrides

STOPPED, INTERRUPTED, TERMINATED = 3, 130, 143
"""Exit codes: after one Ctrl-C (running trials were finished), after a second one, by SIGTERM."""


def run_search(search: Search, overrides: Overrides, workers: int, accept_changes: bool) -> None:
    """Runs a search with the overrides of this and of earlier runs; then shows the front."""
    check_workers(workers, search.file, search.url)
    remembered = search.remembered()
    nothing = dict.fromkeys(overrides.given())
    kept = replace(remembered, **nothing).as_options()
    if kept:
        listed = " ".join(f"{option} {value}".rstrip() for option, value in kept.items())
        typer.echo(f"remembered from earlier runs: {listed}", err=True)
    search = search.override(remembered.updated(overrides))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if cores and workers * search.threads > max(cores, search.threads):
        typer.echo(f"{workers} workers share {cores} CPU cores", err=True)
    display = Progress()
    objective = observed_objective(search, display)
    study = open_study(search, objective, overrides=overrides, accept_changes=accept_changes)
    there = number_counted(study)
    if there:
        typer.echo(f"{there} of {search.trials} trials are done already", err=True)
    stop = Stop()
    try:
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
            )
    except KeyboardInterrupt as interrupt:
        code = TERMINATED if isinstance(interrupt, Terminated) else INTERRUPTED
        fail(f"interrupted; running trials are repeated next time. {_kept(study, search)}", code)
    except WorkerError as error:
        fail(f"the code failed in a worker:\n{error}", 1)
    if stop.requested and number_counted(study) < search.trials:
        fail(f"stopped; running trials were finished. {_kept(study, search)}", STOPPED)
    _summary(study, search)
    failures = failure_line(study)
    if failures:
        typer.echo(f"failures:      {failures}")
    if number_counted(study) < search.trials:
        typer.echo(f"the rest:      {_resume(study, search)}")
    else:
        typer.echo(f"more trials:   {_resume(study, search)} --trials {2 * search.trials}")
    for command in ("report", "dashboard"):
        typer.echo(f"{command + ':':14} optnas {command} {_url(search)}{_name(study)}")


def _kept(study: Study, search: Search) -> str:
    return (
        f"{number_counted(study)} of {search.trials} trials are done and kept. "
        f"Resume with: {_resume(study, search)}"
    )


def _summary(study: Study, search: Search) -> None:
    """Prints the front, and draws it."""
    if not front(study):
        typer.echo("the front is empty: no feasible trial is COMPLETE")
        return
    show(front_table(study))
    if isinstance(search.evaluator, SharedWeightsEvaluator):
        typer.echo("The scores are those of inherited weights. Train the most promising networks:")
        options = f"{_name(study)} --most 20 --seeds 1"
        typer.echo(f"real scores:   optnas confirm {_url(search)}{options}")
    if len(study.directions) > 1:
        path = search.path("_front.html")
        write_figure(pareto_figure(pareto_data(study)), path)
        typer.echo(f"figure:        {path}")


def _resume(study: Study, search: Search) -> str:
    return f"optnas resume {_url(search)}{_name(study)}"


def _url(search: Search) -> str:
    """The storage's URL for a command line; a password isn't shown."""
    return shlex.quote(shown_url(search.url))


def _name(study: Study) -> str:
    """The option that names the study, if its storage holds several."""
    several = len(optuna.get_all_study_names(study._storage)) > 1
    return f" --name {shlex.quote(study.study_name)}" if several else ""
