"""The rows of the table: one for each architecture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from optuna.study import Study

from optnas.pareto.dominance import wants_log
from optnas.pareto.entries import Entry, baselines, entries
from optnas.report.confirmed import Again
from optnas.report.labels import Meanings, number_of
from optnas.study.describe import recipe_text
from optnas.study.objectives import maximized, objective_names


class Column(NamedTuple):
    """A column of numbers.

    Attributes:
        name: What was measured.
        objective: Whether it is an objective of the study.
        better: `less` or `more`; empty where nobody said.
        log: Whether its axis is logarithmic.
        meaning: A few words; empty where nothing is known.
    """

    name: str
    objective: bool
    better: str
    log: bool
    meaning: str


class Network(NamedTuple):
    """One architecture.

    Attributes:
        trial: The number of the trial that stands for it.
        trials: The numbers of all its COMPLETE trials.
        architecture: What it is called.
        recipe: How it was trained, as far as that was searched.
        place: `front`, `dominated`, or `infeasible` where it breaks a bound.
        baseline: The name of the hand-made network, if it is one.
        dominated_by: For a baseline, the trials of the front that dominate it.
        again: What fresh seeds say of one of its trials; None where none was evaluated again.
        values: Those of the columns.
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


class Networks(NamedTuple):
    """The table."""

    columns: list[Column]
    rows: list[Network]


def networks(study: Study, meanings: Meanings, fresh: Mapping[int, Again]) -> Networks:
    """The architectures of a study, the best in its first objective first.

    Args:
        study: The study.
        meanings: What its names mean.
        fresh: The trials that were evaluated again.
    """
    names = objective_names(study)
    more = maximized(study)
    scores = [name for name in meanings.scores if name not in names]
    found = entries(study)
    beaten = {entry.trial.number: by for entry, by in baselines(study, found)}
    rows = []
    for entry in found:
        number = entry.trial.number
        values = [*entry.trial.values, *(number_of(entry.trial, name) for name in scores)]
        rows.append(
            Network(
                trial=number,
                trials=entry.trials,
                architecture=entry.architecture,
                recipe=recipe_text(entry.trial),
                place=_place(entry),
                baseline=None if entry.baseline is None else str(entry.baseline),
                dominated_by=tuple(beaten.get(number, ())),
                again=next((fresh[n] for n in (number, *entry.trials) if n in fresh), None),
                values=tuple(values),
            )
        )
    sign = -1.0 if more[0] else 1.0
    rows.sort(key=lambda row: (sign * (row.values[0] or 0.0), row.trial))
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


def _place(entry: Entry) -> str:
    if entry.on_front:
        return "front"
    return "dominated" if entry.feasible else "infeasible"
