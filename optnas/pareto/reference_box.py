"""The box in which a study's hypervolume is measured: its worst corner is the reference point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.pareto.dominance import Array, losses
from optnas.pareto.front import feasible_trials
from optnas.pareto.hypervolume import hypervolume_of
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

    It is None until there are 10 such trials, for a single objective, and where a value of the
    first 10 isn't finite.

    Args:
        study: The study.
        trials: Its feasible COMPLETE trials.
    """
    stored: Any = study._storage.get_study_system_attrs(study._study_id).get(REFERENCE)
    if stored is not None:
        return Box(np.array(stored["ideal"]), np.array(stored["reference"]))
    if len(trials) < REFERENCE_TRIALS or len(study.directions) < 2:
        return None
    first = in_order_of_completion(trials)[:REFERENCE_TRIALS]
    points = losses([t.values for t in first], study.directions)
    if not np.isfinite(points).all():
        return None
    return Box.around(points)


def keep_reference(study: Study) -> bool:
    """Writes the box that `optnas.hypervolume` uses into the study, once there is one.

    Returns:
        Whether the study has the box now.
    """
    attrs = study._storage.get_study_system_attrs(study._study_id)
    if REFERENCE in attrs:
        return True
    box = reference_box(study, feasible_trials(study))
    if box is not None:
        value = {"ideal": box.ideal.tolist(), "reference": box.reference.tolist()}
        study._storage.set_study_system_attr(study._study_id, REFERENCE, value)
    return box is not None
