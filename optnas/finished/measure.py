"""Measures a trial's network again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial

from optnas.candidate import Candidate
from optnas.errors import CandidateError
from optnas.finished.decode import decode
from optnas.metrics import Metric, Profile, profile
from optnas.objective.objective import Objective


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
