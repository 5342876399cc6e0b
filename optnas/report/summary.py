"""What was asked, and what was found: the head of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.front import is_feasible
from optnas.report.labels import readable_size
from optnas.report.networks import Networks
from optnas.study.objectives import maximized, objective_names
from optnas.study.record import record_of
from optnas.utils.text import number, plural


class Goal(NamedTuple):
    """One objective: what it is, where less or more is better, and what was reached.

    Attributes:
        name: Of the objective.
        meaning: A few words; empty where nothing is known.
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


def goals(study: Study, networks: Networks) -> list[Goal]:
    """The objectives."""
    found = []
    for i, (name, more) in enumerate(zip(objective_names(study), maximized(study), strict=True)):
        sign = -1.0 if more else 1.0
        front = [
            (sign * value, row.trial)
            for row in networks.rows
            if row.place == "front" and (value := row.values[i]) is not None
        ]
        best, trial = min(front, default=(None, None))
        worst = max(front)[0] if front else None
        found.append(
            Goal(
                name=name,
                meaning=networks.columns[i].meaning,
                better="more" if more else "less",
                best=None if best is None else sign * best,
                worst=None if worst is None else sign * worst,
                trial=trial,
            )
        )
    return found


def summary(study: Study, networks: Networks) -> str:
    """One or two sentences: what was looked for, how far one looked, and what was found."""
    names = objective_names(study)
    rows = networks.rows
    what = ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
    size = readable_size(record_of(study).size)
    of = f" of {size} possible" if size else ""
    asked = (
        f"Which networks offer the best trade-offs between {what}?"
        if len(names) > 1
        else f"Which network has the best {what}?"
    )
    if not rows:
        return f"{asked} No trial is complete yet."
    found = sum(row.place == "front" for row in rows)
    tried = f"{plural(len(rows), 'network')}{of} {'was' if len(rows) == 1 else 'were'} tried"
    if not found:
        return f"{asked} {tried}; none of them is within all bounds."
    if len(names) == 1:
        best = next(row for row in rows if row.place == "front")
        return f"{asked} {tried}; the best reached {number(best.values[0] or 0.0)}."
    return (
        f"{asked} {tried}; {number(found)} of them {'is' if found == 1 else 'are'} on the Pareto "
        "front: no other one is at least as good in everything and better in something."
    )


def notes(study: Study, trials: Sequence[FrozenTrial], networks: Networks) -> list[str]:
    """What a reader must know before comparing numbers."""
    found = [
        f"Settings were changed while the study went on, and numbers before and after can't be "
        f"compared without care: {change}"
        for change in record_of(study).accepted
    ]
    live = sum(t.state == TrialState.RUNNING for t in trials)
    if live:
        found.append(
            f"The study isn't over: {plural(live, 'trial was', 'trials were')} running when this "
            "page was made."
        )
    rows = networks.rows
    if rows and not any(is_feasible(t) for t in trials if t.state == TrialState.COMPLETE):
        found.append("Every finished network breaks a bound: the front is empty.")
    return found
