"""Measures a trial's network again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial
from rich.markup import escape
from rich.table import Table

from optnas.candidate import Candidate
from optnas.errors import CandidateError, InputError
from optnas.finished.decode import decode
from optnas.metrics import Metric, Profile, profile
from optnas.objective.objective import Objective
from optnas.pareto.front import front, why_no_front
from optnas.utils.text import number


@dataclass(frozen=True)
class Measured:
    """One metric of a trial's network, stored and measured now.

    Attributes:
        name: Name of the metric, with its unit.
        stored: The value that the trial has stored; None if it has none.
        now: The value measured now; None where the network has no such value.
        how: Settings and details of the measurement; or the reason why there is no value.
    """

    name: str
    stored: float | None
    now: float | None
    how: dict[str, Any]


@dataclass(frozen=True)
class Measurements:
    """A trial's network, measured again.

    Attributes:
        trial: Number of the trial.
        architecture: The architecture.
        profile: Parameters and multiply-accumulates, layer by layer.
        metrics: The objective's metrics.
    """

    trial: int
    architecture: str
    profile: Profile
    metrics: tuple[Measured, ...]


def choose_trial(study: Study, trial: int | None) -> FrozenTrial:
    """The trial of this number; without one, the front's member that is best in what comes first.

    Raises:
        InputError: There is no such trial, or nothing to choose from.
    """
    trials = study.get_trials(deepcopy=False)
    if trial is not None:
        if not 0 <= trial < len(trials):
            there = f"0 to {len(trials) - 1}" if trials else "none"
            raise InputError(
                f"there is no trial {trial} in {study.study_name!r}; there are: {there}"
            )
        return trials[trial]
    members = front(study)
    if not members:
        raise InputError(f"{why_no_front(study)} (or give --trial)")
    sign = -1 if study.directions[0] == StudyDirection.MAXIMIZE else 1
    return min(members, key=lambda t: sign * t.values[0])


def measure_again(objective: Objective, trial: FrozenTrial) -> Measurements:
    """Builds a trial's network, and measures every metric of the objective.

    Args:
        objective: The objective, made as when the trial ran.
        trial: A trial in any state that has an architecture.

    Raises:
        InputError: The trial has no architecture, or today's code makes another network of its
            parameters.
    """
    candidate = decode(objective, trial)
    layers = profile(candidate.model, candidate.example_inputs)
    found = []
    for metric in objective.metrics:
        now, how = _now(metric, candidate)
        found.append(Measured(metric.name, trial.user_attrs.get(metric.name), now, how))
    return Measurements(trial.number, str(candidate), layers, tuple(found))


def _now(metric: Metric, candidate: Candidate) -> tuple[float | None, dict[str, Any]]:
    try:
        now = metric.measure(candidate)
    except CandidateError as error:
        return None, {"none:": str(error)}
    details = {} if metric.exact else candidate.details.get(metric.name, {})
    return now, details | metric.fingerprint


def metrics_table(metrics: tuple[Measured, ...]) -> Table:
    """A table of the stored values, today's values, and how they were measured."""
    table = Table(box=None, title="measured", title_justify="left", title_style="bold")
    table.add_column("metric")
    table.add_column("stored", justify="right")
    table.add_column("now", justify="right")
    table.add_column("how", overflow="fold", style="dim")
    for metric in metrics:
        stored, now = ("–" if v is None else number(v) for v in (metric.stored, metric.now))
        how = ", ".join(f"{key} {_text(value)}" for key, value in metric.how.items())
        table.add_row(escape(metric.name), stored, now, escape(how))
    return table


def _text(value: object) -> str:
    if isinstance(value, list):
        return " to ".join(map(_text, value))
    return number(value) if isinstance(value, float) else str(value)
