"""The box in which a study's hypervolume is measured: its worst corner is the reference point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.pareto.dominance import Array, losses
from optnas.pareto.front import feasible_trials
from optnas.pareto.hypervolume import hypervolume_of
from optnas.pareto.reference_point import reference_limits
from optnas.study.trial_order import in_order_of_completion

REFERENCE = "optnas:reference"
"""The system attribute of a study that keeps its box."""
REFERENCE_TRIALS = 10
"""How many of the first feasible COMPLETE trials span the box."""
MARGIN = 0.1
"""The share of its extent by which a box is widened, at the worst end of each objective."""


class Box(NamedTuple):
    """A box in the space of losses.

    Attributes:
        ideal: Its best corner, of shape `(objectives,)`.
        reference: Its worst corner, the reference point of a hypervolume.
    """

    ideal: Array
    reference: Array

    @classmethod
    def up_to(cls, limits: Array, points: Array) -> Box:
        """The box that points span, but where an objective has a limit, that is the worst corner.

        The best corner is 0 there if all values are positive, and so no share is above 1; else the
        best value, or a tenth of the limit's size beyond the limit where no point is within it.

        Args:
            limits: The reference point, of shape `(objectives,)`: inf where there is no limit.
            points: Losses of shape `(points, objectives)`.
        """
        box = cls.around(points)
        known = np.isfinite(limits)
        worst = np.where(known, limits, 0.0)
        beyond = worst - MARGIN * np.where(worst == 0, 1.0, np.abs(worst))
        best = np.where((points > 0).all(axis=0) & (worst > 0), 0.0, np.minimum(box.ideal, beyond))
        return cls(np.where(known, best, box.ideal), np.where(known, limits, box.reference))

    @classmethod
    def around(cls, points: Array) -> Box:
        """The box that points span, widened by a tenth at the worst end of each objective.

        Where all have one value, the box is a tenth as wide as the size of that value, and at least
        0.1. Values that aren't finite are ignored.

        Args:
            points: Losses of shape `(points, objectives)`.
        """
        known = np.where(np.isfinite(points), points, np.nan)
        ideal, worst = np.nanmin(known, axis=0), np.nanmax(known, axis=0)
        extent = np.where(worst > ideal, worst - ideal, np.maximum(np.abs(worst), 1.0))
        return cls(ideal, worst + MARGIN * extent)

    def scaled(self, points: Array) -> Array:
        """The points, scaled: the best corner is 0 in each objective, the reference point 1."""
        return (points - self.ideal) / (self.reference - self.ideal)

    def share(self, points: Array) -> float:
        """The share of the box that the points dominate."""
        return hypervolume_of(self.scaled(points), np.ones(len(self.ideal)))


def reference_box(study: Study, trials: Sequence[FrozenTrial]) -> Box | None:
    """The box that `optnas.hypervolume` uses.

    Its worst corner is the study's reference point (see `optnas.study.reference`) where an
    objective has a limit. The first 10 trials span the rest. It is None until there are 10 such
    trials, for a single objective, and where a value of the first 10 isn't finite.

    Args:
        study: The study.
        trials: Its feasible COMPLETE trials.
    """
    limits = reference_limits(study, trials)
    stored: Any = study._storage.get_study_system_attrs(study._study_id).get(REFERENCE)
    if stored is not None and stored.get("limits", _stored([])) == _stored(limits):
        return Box(np.array(stored["ideal"]), np.array(stored["reference"]))
    if len(trials) < REFERENCE_TRIALS or len(study.directions) < 2:
        return None
    first = in_order_of_completion(trials)[:REFERENCE_TRIALS]
    points = losses([t.values for t in first], study.directions)
    if not np.isfinite(points).all():
        return None
    return Box.up_to(limits, points)


def _stored(limits: Iterable[float]) -> list[float | None]:
    """Limits as they are stored, JSON; empty if there are none."""
    found = [float(limit) if math.isfinite(limit) else None for limit in limits]
    return found if any(limit is not None for limit in found) else []


def keep_reference(study: Study) -> bool:
    """Writes the box that `optnas.hypervolume` uses into the study, once there is one.

    Returns:
        Whether the study has the box now.
    """
    trials = feasible_trials(study)
    box = reference_box(study, trials)
    if box is None:
        return False
    value = {"ideal": box.ideal.tolist(), "reference": box.reference.tolist()}
    if limits := _stored(reference_limits(study, trials)):
        value["limits"] = limits
    if study._storage.get_study_system_attrs(study._study_id).get(REFERENCE) != value:
        study._storage.set_study_system_attr(study._study_id, REFERENCE, value)
    return True
