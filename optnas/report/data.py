"""All that the page shows, before it is a page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.report.confirmed import again
from optnas.report.details import Detail, details
from optnas.report.drawings import pictures
from optnas.report.failures import Ending, endings, failures
from optnas.report.figures import Figure, Scale, figures, scales
from optnas.report.labels import Meanings
from optnas.report.measurements import Measuring, measurings
from optnas.report.networks import Networks, networks
from optnas.report.reproduce import Reproducing, reproducing
from optnas.report.run_facts import facts
from optnas.report.summary import Goal, goals, notes, summary
from optnas.study.objectives import objective_names

if TYPE_CHECKING:  # it imports torch, which takes a second
    from optnas.search.search import Search

NO_SEARCH = "the study was given without its search"


class ReportData(NamedTuple):
    """What the page shows, from top to bottom.

    Attributes:
        title: The study's name.
        made: When the page was made.
        summary: The question and the answer, in two sentences.
        notes: What a reader must know before comparing numbers.
        goals: The objectives.
        facts: The circumstances, by label.
        networks: The table.
        figures: The figures; that of the front first.
        scales: How each objective is drawn in the front's figure; empty where there is none.
        measurings: How each number was measured.
        endings: The trials that didn't become networks of their own, and why.
        failed: How many trials failed.
        reproducing: How to do it again.
        undrawn: Why networks, or some of them, aren't drawn; empty where all are.
        details: What is known of each trial, by number.
    """

    title: str
    made: str
    summary: str
    notes: list[str]
    goals: list[Goal]
    facts: dict[str, str]
    networks: Networks
    figures: list[Figure]
    scales: list[Scale]
    measurings: list[Measuring]
    endings: list[Ending]
    failed: int
    reproducing: Reproducing
    undrawn: str
    details: list[Detail]


def report_data(study: Study, *, url: str = "", search: Search | str = NO_SEARCH) -> ReportData:
    """Reads a study (see `optnas.report.write_report`)."""
    # In this order: of a study that is running, each knows all trials that those before it show.
    drawn = figures(study)
    meanings = Meanings(study, study.get_trials(deepcopy=False))
    fresh = again(study)
    table = networks(study, meanings, fresh)
    trials: Sequence[FrozenTrial] = study.get_trials(deepcopy=False)
    found = endings(trials)
    drawings, undrawn = pictures(study, search, table.rows)
    known = None if isinstance(search, str) else search
    return ReportData(
        title=study.study_name,
        made=f"{datetime.now():%Y-%m-%d %H:%M}",
        summary=summary(study, table),
        notes=notes(study, trials, table),
        goals=goals(study, table),
        facts=facts(study, trials, meanings, known, fresh),
        networks=table,
        figures=drawn,
        scales=scales(table) if len(study.directions) > 1 else [],
        measurings=measurings(objective_names(study), trials, meanings),
        endings=found,
        failed=failures(found),
        reproducing=reproducing(study, url),
        undrawn=undrawn,
        details=details(study, trials, drawings, fresh),
    )
