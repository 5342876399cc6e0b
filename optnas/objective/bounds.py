"""Bounds on scores and metrics, as constraints of a trial."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from optuna import TrialPruned
from optuna.trial import FixedTrial, Trial

from optnas.study.objectives import Direction
from optnas.utils.text import number

_ITS_BOUND = ", its bound "


@dataclass(frozen=True)
class Bounds:
    """Bounds by name: upper ones for what is minimised, lower ones for what is maximised.

    Attributes:
        limits: The bounds.
        directions: The direction of each bounded name.
    """

    limits: Mapping[str, float]
    directions: Mapping[str, Direction]

    def among(self, names: Collection[str]) -> Bounds:
        """The bounds on these names alone."""
        return Bounds({n: b for n, b in self.limits.items() if n in names}, self.directions)

    def excess(self, name: str, value: float) -> float:
        """How far a value breaks its bound; the bound holds at 0 or less."""
        bound = self.limits[name]
        return bound - value if self.directions[name] == "maximize" else value - bound

    def store(self, trial: Trial | FixedTrial, name: str, value: float) -> float:
        """Sets the constraint of a trial, if there is a bound, and returns it (else 0)."""
        if name not in self.limits:
            return 0.0
        found = self.excess(name, value)
        trial.set_constraint(name, found)
        return found

    def enforce(self, trial: Trial, name: str, value: float) -> None:
        """Sets the constraint of a trial; raises TrialPruned if the bound is broken."""
        if self.store(trial, name, value) > 0:
            raise TrialPruned(self.broken(name, value))

    def broken(self, name: str, value: float) -> str:
        """What is said of a broken bound."""
        return f"{name} is {_in_full(value)}{_ITS_BOUND}{_in_full(self.limits[name])}"


def bound_in(text: str, name: str) -> float | None:
    """The bound that `Bounds.broken` names; None if the text is of another bound, or of none."""
    start, found, bound = text.partition(_ITS_BOUND)
    return float(bound.replace(",", "")) if found and start.startswith(f"{name} is ") else None


def _in_full(value: float) -> str:
    """A whole number as tables show it; another one with six digits, for it may be near a bound."""
    return number(value) if value == round(value) else f"{value:g}"
