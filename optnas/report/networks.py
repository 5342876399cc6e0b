"""The rows of the page's table: the architectures, and each further trial of one on the front."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from optnas.pareto.dominance import wants_log
from optnas.pareto.noise import with_error
from optnas.pareto.snapshot import Snapshot
from optnas.report.confirmed import Again
from optnas.report.labels import Meanings
from optnas.study.describe import measurement_of, recipe_text


class Column(NamedTuple):
    """A column of numbers.

    Attributes:
        name: The objective, score or metric.
        objective: Whether it is an objective of the study.
        better: `less` or `more`; empty where it isn't known.
        log: Whether its axis is logarithmic.
        meaning: A few words; empty where it isn't known.
    """

    name: str
    objective: bool
    better: str
    log: bool
    meaning: str


class Network(NamedTuple):
    """An `ArchitectureRecord` as the page's scripts read it, from JSON.

    Attributes:
        trial: The number of the trial that represents it.
        trials: The numbers of all its COMPLETE trials.
        architecture: Its canonical string, or its parameters.
        recipe: The searched settings of its training.
        place: `front`, `dominated`, or `infeasible` where it breaks a bound.
        baseline: The name of the hand-made network, if it is one.
        dominated_by: For a baseline, the trials of the front that dominate it.
        again: The result of fresh seeds for the trial, or for one without a row; None without any.
        values: Those of the columns.
        errors: Of each objective what its 95 % interval says: `±17%`; empty where that is little.
    """

    trial: int
    trials: tuple[int, ...]
    architecture: str
    recipe: str
    place: str
    baseline: str | None
    dominated_by: tuple[int, ...]
    again: Again | None
    values: tuple[float | None, ...]
    errors: tuple[str, ...]


class Networks(NamedTuple):
    """The table."""

    columns: list[Column]
    rows: list[Network]


def networks(study: Snapshot, meanings: Meanings, fresh: Mapping[int, Again]) -> Networks:
    """The architectures of a study, the best in its first objective first.

    Args:
        study: The study.
        meanings: The meaning of its names.
        fresh: The trials that were evaluated again.
    """
    names, more = study.names, study.maximized
    scores = [name for name in meanings.scores if name not in names]
    best_first = sorted(study.shown, key=lambda r: (r.losses[0], r.number))
    rows = [
        Network(
            trial=record.number,
            trials=record.trials,
            architecture=record.architecture,
            recipe=recipe_text(record.trial),
            place=record.place,
            baseline=record.baseline,
            dominated_by=record.dominated_by,
            again=None if (found := study.standing_of(record)) is None else fresh[found.trial],
            values=(*record.values, *(measurement_of(record.trial, name) for name in scores)),
            errors=tuple(
                with_error(record.trial, name, value, "").strip()
                for name, value in zip(names, record.values, strict=True)
            ),
        )
        for record in best_first
    ]
    columns = [
        Column(
            name,
            i < len(names),
            ("more" if more[i] else "less") if i < len(names) else "",
            wants_log([value for row in rows if (value := row.values[i]) is not None]),
            meanings.short(name),
        )
        for i, name in enumerate((*names, *scores))
    ]
    return Networks(columns, rows)
