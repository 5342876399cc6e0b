"""The question and the answer: the head of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from optuna.trial import TrialState

from optnas.pareto.architectures import ArchitectureRecord
from optnas.pareto.snapshot import Snapshot
from optnas.report.labels import Meanings, readable_size
from optnas.study.record import record_of
from optnas.utils.text import number, plural


class Goal(NamedTuple):
    """One objective: its meaning, its direction, and the values on the front.

    Attributes:
        name: Of the objective.
        meaning: A few words; empty where it isn't known.
        better: `less` or `more`.
        best: The best feasible value; None where there is none yet.
        worst: The worst value on the front.
        trial: The trial with the best value.
    """

    name: str
    meaning: str
    better: str
    best: float | None
    worst: float | None
    trial: int | None


def goals(study: Snapshot, meanings: Meanings) -> list[Goal]:
    """The objectives."""
    front = [record for record in study.each_recipe if record.on_front]
    found = []
    for i, (name, more) in enumerate(zip(study.names, study.maximized, strict=True)):
        order = sorted(front, key=lambda record: (record.losses[i], record.number))
        found.append(
            Goal(
                name=name,
                meaning=meanings.short(name),
                better="more" if more else "less",
                best=order[0].values[i] if order else None,
                worst=order[-1].values[i] if order else None,
                trial=order[0].number if order else None,
            )
        )
    return found


def summary(study: Snapshot) -> str:
    """One or two sentences: the question, how many networks were tried, and the front."""
    names, networks = study.names, study.architectures
    what = ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
    size = readable_size(record_of(study.study).size)
    of = f" of {size} possible" if size else ""
    asked = (
        f"Which networks offer the best trade-offs between {what}?"
        if len(names) > 1
        else f"Which network has the best {what}?"
    )
    if not networks:
        return f"{asked} No trial is complete yet."
    front = [record for record in networks if record.on_front]
    found, n = _number(front), _number(networks)
    tried = f"{plural(n, 'network')}{of} {'was' if n == 1 else 'were'} tried"
    if not front:
        return f"{asked} {tried}; none of them is within all bounds."
    if len(names) == 1:
        return f"{asked} {tried}; the best reached {number(front[0].values[0])}."
    return (
        f"{asked} {tried}; {number(found)} of them {'is' if found == 1 else 'are'} on the Pareto "
        "front: no other one is at least as good in everything and better in something."
    )


def _number(networks: Sequence[ArchitectureRecord]) -> int:
    """How many networks: a baseline and a network of the search with its architecture are one."""
    searched = {record.architecture for record in networks if record.baseline is None}
    return sum(r.baseline is None or r.architecture not in searched for r in networks)


def notes(study: Snapshot) -> list[str]:
    """The warnings that a reader needs before comparing numbers."""
    found = [
        f"Settings were changed while the study ran, and numbers before and after can't be "
        f"compared without care: {change}"
        for change in record_of(study.study).accepted
    ]
    live = sum(t.state == TrialState.RUNNING for t in study.trials)
    if live:
        found.append(
            f"The study isn't over: {plural(live, 'trial was', 'trials were')} running when this "
            "page was made."
        )
    if study.complete and not study.feasible:
        found.append("Every finished network breaks a bound: the front is empty.")
    return found
