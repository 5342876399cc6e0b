"""What `optnas run` prints at its end: the front, and the commands that come next."""

from __future__ import annotations

import shlex

import optuna
from optuna.study import Study

from optnas.cli.console import echo, show
from optnas.cli.front_table import front_table
from optnas.cli.status_table import failure_line
from optnas.cli.usage import in_options
from optnas.errors import InputError
from optnas.evaluators import SharedWeightsEvaluator
from optnas.pareto.front import front
from optnas.pareto.growth import growth
from optnas.pareto.little_gained import little_gained
from optnas.pareto.noise import typical_errors
from optnas.pareto.snapshot import Snapshot
from optnas.pareto.unreached import unreached_text
from optnas.plots import pareto_data, pareto_figure
from optnas.plots.page import write_figure
from optnas.runs.progress import number_counted
from optnas.samplers.gradient import relaxed_text
from optnas.samplers.language_model import usage_text
from optnas.search.run import ended_flat
from optnas.search.search import Search
from optnas.storage.urls import shown_url
from optnas.study.folders import FRONT
from optnas.utils.text import plural

LATEST = 20
"""A run's end says what this many trials, the last ones, have added."""
BUSY = 0.15
"""From this typical error on, a run's end says that the machine was busy."""


def show_end(study: Study, search: Search) -> None:
    """Prints the front of a study whose run has ended, and what to do next."""
    _summary(study, search)
    failures = failure_line(study)
    if failures:
        echo(f"failures:      {failures}")
    flat = ended_flat(search, study)
    if flat is not None:
        echo(f"flat:          {flat.text}, so the run ends (--until-flat {flat.last})")
    elif latest := growth(study, LATEST):
        echo(f"latest:        {latest.text}")
    if usage := usage_text(study):
        echo(f"asked:         {usage}")
    if relaxed := relaxed_text(study):
        echo(f"gradients:     {relaxed}")
    if number_counted(study) < search.trials:
        on = "" if flat is None else " --until-flat 0"
        echo(f"the rest:      {_resume(study, search)}{on}")
    else:
        echo(f"more trials:   {_resume(study, search)} --trials {2 * search.trials}")
    for command in ("report", "dashboard"):
        file = f" --file {shlex.quote(str(search.file))}" if search.file else ""
        echo(f"{command + ':':14} optnas {command} {_url(search)}{_name(study)}{file}")


def show_left(study: Study, search: Search) -> None:
    """Prints how to look at a study whose workers were left to a cluster."""
    echo(f"status:        optnas status {_url(search)}{_name(study)}")


def kept_line(study: Study, search: Search) -> str:
    """How much of an interrupted run is kept, and how to resume it."""
    wanted = plural(search.trials, "trial is", "trials are")
    return (
        f"{number_counted(study)} of {wanted} done and kept. Resume with: {_resume(study, search)}"
    )


def _summary(study: Study, search: Search) -> None:
    """Prints the front, and draws it."""
    if not front(study):
        echo("the front is empty: no feasible trial is COMPLETE")
        return
    seen = Snapshot.of(study)
    show(front_table(seen))
    for name, share in typical_errors(seen.front, seen.names).items():
        if share >= BUSY:
            echo(
                f"{name} was measured on a busy machine: ±{share:.0%} at the median. Members of "
                "the front that differ by less are marked; `optnas measure` measures a network "
                "again"
            )
    if text := unreached_text(seen):
        echo(f"{text}: {_resume(study, search)} --reference NAME=VALUE,…")
    far = little_gained(seen)
    if far is not None:
        echo(
            f"{far.members} of the {far.front} networks on the front gain less than half of what "
            f"the best one gains over chance in {far.score}. To look for better ones: "
            f"{_resume(study, search)} --reference {far.score}={far.limit:.2g}"
        )
    if isinstance(search.evaluator, SharedWeightsEvaluator):
        echo("The scores are those of inherited weights. Train the most promising networks:")
        options = f"{_name(study)} --most 20 --seeds 1"
        echo(f"real scores:   optnas confirm {_url(search)}{options}")
    if len(study.directions) > 1:
        if volume := seen.hypervolume_text():
            echo(f"hypervolume:   {volume}")
        path = search.files(study).path(FRONT)
        try:
            write_figure(pareto_figure(pareto_data(seen)), path)
        except InputError as error:  # the study itself is done and kept
            echo(f"no figure:     {in_options(error)}", err=True)
        else:
            echo(f"figure:        {search.location.shown(path)}")


def _resume(study: Study, search: Search) -> str:
    return f"optnas resume {_url(search)}{_name(study)}"


def _url(search: Search) -> str:
    """The storage's URL for a command line; a password isn't shown."""
    return shlex.quote(shown_url(search.url))


def _name(study: Study) -> str:
    """The option that names the study, if its storage holds several."""
    several = len(optuna.get_all_study_names(study._storage)) > 1
    return f" --name {shlex.quote(study.study_name)}" if several else ""
