"""The data of the page, before it is a page."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from optuna.study import Study

from optnas.pareto.baselines import baseline_standings
from optnas.pareto.reference_limits import limit_values
from optnas.pareto.snapshot import Snapshot
from optnas.report.confirmed import again
from optnas.report.details import Detail, details
from optnas.report.drawings import pictures
from optnas.report.elsewhere import DevicePart, device_parts
from optnas.report.failures import Ending, endings, failures
from optnas.report.figures import Figure, Scale, figures, scales
from optnas.report.labels import Meanings
from optnas.report.measurements import Measuring, measurings
from optnas.report.networks import Networks, networks
from optnas.report.reproduce import Reproducing, reproducing
from optnas.report.run_facts import facts
from optnas.report.summary import Goal, goals, notes, summary
from optnas.storage.place import place_of
from optnas.study.elsewhere import OtherDevice

if TYPE_CHECKING:  # it imports torch, which takes a second
    from optnas.search.search import Search

NO_SEARCH = "the study was given without its search"


class ReportData(NamedTuple):
    """The contents of the page, from top to bottom.

    Attributes:
        title: The study's name.
        made: When the page was made.
        summary: The question and the answer, in two sentences.
        notes: Warnings that a reader needs before comparing numbers.
        goals: The objectives.
        facts: The circumstances, by label.
        networks: The table.
        figures: The figures; that of the front first.
        scales: How each objective is drawn in the front's figure; empty where there is none.
        baselines: How each baseline stands against the front, a sentence each.
        reference: The limit of each objective (the study's reference point); None for no limit.
        elsewhere: The networks on other devices.
        measurings: How each number was measured.
        endings: The trials that didn't become networks of the table, and why.
        failed: How many trials failed.
        reproducing: How to run the study again.
        undrawn: Why networks, or some of them, aren't drawn; empty where all are.
        details: All that is known of each trial, by number.
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
    baselines: list[str]
    reference: list[float | None]
    elsewhere: list[DevicePart]
    measurings: list[Measuring]
    endings: list[Ending]
    failed: int
    reproducing: Reproducing
    undrawn: str
    details: list[Detail]


def report_data(
    study: Study,
    *,
    url: str = "",
    search: Search | str = NO_SEARCH,
    devices: Iterable[OtherDevice] = (),
) -> ReportData:
    """Reads a study (see `optnas.report.write_report`)."""
    seen = Snapshot.of(study)
    meanings = Meanings(study, seen.trials)
    fresh = again(seen.standing)
    table = networks(seen, meanings, fresh)
    found = endings(seen.trials, place_of(seen.study._storage))
    drawings, undrawn = pictures(study, search, table.rows)
    known = None if isinstance(search, str) else search
    return ReportData(
        title=study.study_name,
        made=f"{datetime.now():%Y-%m-%d %H:%M}",
        summary=summary(seen),
        notes=notes(seen),
        goals=goals(seen, meanings),
        facts=facts(seen, meanings, known, fresh),
        networks=table,
        figures=figures(seen),
        scales=scales(table) if len(seen.names) > 1 else [],
        baselines=[
            f"{found.baseline.baseline}: {found.text()}." for found in baseline_standings(seen)
        ],
        reference=limit_values(study, seen.trials),
        elsewhere=device_parts(seen, devices),
        measurings=measurings(seen.names, seen.trials, meanings),
        endings=found,
        failed=failures(found),
        reproducing=reproducing(study, url),
        undrawn=undrawn,
        details=details(seen, drawings, fresh),
    )
