"""A trial's network, measured again."""

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
    """One metric: what the trial has stored, what it is now, and how that was measured.

    `now` is None where the network has no such number; `how` says why.
    """

    name: str
    stored: float | None
    now: float | None
    how: dict[str, Any]


@dataclass(frozen=True)
class Measurements:
    """A trial's network, layer by layer, and its metrics."""

    trial: int
    architecture: str
    profile: Profile
    metrics: tuple[Measured, ...]


def measure_again(objective: Objective, trial: FrozenTrial) -> Measurements:
    """Builds a trial's network and measures all that the objective measures before training.

    Args:
        objective: Made as when the trial ran.
        trial: Any trial that has drawn its architecture.

    Raises:
        InputError: It hasn't, or today's code makes another network of its parameters.
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
