"""The box in which a study's hypervolume is measured: its worst corner is the reference point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.pareto.dominance import Array, losses, unit
from optnas.pareto.front import feasible_trials
from optnas.pareto.hypervolume import hypervolume_of
from optnas.pareto.reference_limits import reference_limits
from optnas.study.trial_order import in_order_of_completion

REFERENCE = "optnas:reference"
"""The system attribute of a study that keeps its box."""
REFERENCE_TRIALS = 10
"""How many of the first feasible COMPLETE trials span the box."""
MARGIN = 0.1
"""The share of its extent by which a box is widened, at the worst end of each objective."""
BEYOND = 1e6
"""A value that is better than the best corner by more extents of the box counts as this many."""
LARGEST = float(np.finfo(np.float64).max)


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
        with np.errstate(over="ignore"):
            beyond = worst - MARGIN * np.where(worst == 0, 1.0, np.abs(worst))
        beyond = np.maximum(beyond, -LARGEST)
        best = np.where((points > 0).all(axis=0) & (worst > 0), 0.0, np.minimum(box.ideal, beyond))
        return cls(np.where(known, best, box.ideal), np.where(known, limits, box.reference))

    @classmethod
    def around(cls, points: Array) -> Box:
        """The box that points span, widened by a tenth at the worst end of each objective.

        Where all have one value, the box is a tenth as wide as the size of that value, and at least
        0.1. Values that aren't finite are ignored; a box of no values reaches from 0 to 0.1.

        Args:
            points: Losses of shape `(points, objectives)`.
        """
        known, some = np.isfinite(points), np.isfinite(points).any(axis=0)
        ideal = np.where(some, np.where(known, points, np.inf).min(axis=0, initial=np.inf), 0.0)
        worst = np.where(some, np.where(known, points, -np.inf).max(axis=0, initial=-np.inf), 0.0)
        with np.errstate(over="ignore"):
            extent = np.where(worst > ideal, worst - ideal, np.maximum(np.abs(worst), 1.0))
            reference = np.minimum(worst + MARGIN * extent, LARGEST)
        return cls(ideal, reference)

    @classmethod
    def holding(cls, boxes: Sequence[Box]) -> Box:
        """The smallest box that holds all of some boxes, of which there is at least one."""
        return cls(
            np.min([box.ideal for box in boxes], axis=0),
            np.max([box.reference for box in boxes], axis=0),
        )

    def scaled(self, points: Array) -> Array:
        """The points, scaled: the best corner is 0 in each objective, the reference point 1."""
        factor = unit(np.array(self))  # so that the extent doesn't overflow
        low, high = self.ideal * factor, self.reference * factor
        extent = np.where(high > low, high - low, 1.0)
        with np.errstate(over="ignore"):
            scaled: Array = np.maximum((points * factor - low) / extent, -BEYOND)
        return scaled

    def volume(self, points: Array) -> float:
        """The hypervolume of points, in units of the box's volume.

        It is more than 1 only if points pass the best corner.
        """
        return hypervolume_of(self.scaled(points), np.ones(len(self.ideal)))


def reference_box(study: Study, trials: Sequence[FrozenTrial]) -> Box | None:
    """The box that `optnas.hypervolume` uses.

    Its worst corner is the study's reference point (see `optnas.pareto.reference_limits`) where an
    objective has a limit. The first 10 trials with finite values span the rest; until there are 10,
    those that there are. It is None if there are none.

    Args:
        study: The study.
        trials: Its feasible COMPLETE trials.
    """
    limits = reference_limits(study, trials)
    stored: Any = study._storage.get_study_system_attrs(study._study_id).get(REFERENCE)
    if stored is not None and stored.get("limits", _stored([])) == _stored(limits):
        return Box(np.array(stored["ideal"]), np.array(stored["reference"]))
    first = spanning(trials)
    if not first:
        return None
    return Box.up_to(limits, losses([t.values for t in first], study.directions))


def spanning(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that span the box: the first 10 whose values are all finite, by completion.

    Args:
        trials: The feasible COMPLETE trials of a study.
    """
    finite = [t for t in trials if all(map(math.isfinite, t.values))]
    return in_order_of_completion(finite)[:REFERENCE_TRIALS]


def _stored(limits: Iterable[float]) -> list[float | None]:
    """Limits as they are stored, JSON; empty if there are none."""
    found = [float(limit) if math.isfinite(limit) else None for limit in limits]
    return found if any(limit is not None for limit in found) else []


def keep_box(study: Study) -> bool:
    """Writes the box that `optnas.hypervolume` uses into the study, once 10 trials span it.

    Returns:
        Whether the study has the box now.
    """
    trials = feasible_trials(study)
    if len(spanning(trials)) < REFERENCE_TRIALS or len(study.directions) < 2:
        return False
    box = reference_box(study, trials)
    assert box is not None
    value = {"ideal": box.ideal.tolist(), "reference": box.reference.tolist()}
    if limits := _stored(reference_limits(study, trials)):
        value["limits"] = limits
    if study._storage.get_study_system_attrs(study._study_id).get(REFERENCE) != value:
        study._storage.set_study_system_attr(study._study_id, REFERENCE, value)
    return True
