"""The hypervolume of a study's front, and how it grew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.pareto import dominance
from optnas.pareto.dominance import Array, losses, nondominated
from optnas.pareto.front import feasible_trials

REFERENCE = "optnas:reference"


REFERENCE_TRIALS = 10


def hypervolume(study: Study, complete: Sequence[FrozenTrial] | None = None) -> float | None:
    """The hypervolume of the front, as a share of a box that the study's first trials span.

    The box reaches from the best to the worst value of each objective among the first 10 feasible
    COMPLETE trials (in the order of completion), widened by a tenth at the worst end: its corner
    there is the reference point. It is kept in the study, so that later values can be compared;
    a front that passes the best corner can have more than 1. With more than 5 objectives it is an
    approximation (`dominance.hypervolume`).

    Args:
        study: The study.
        complete: Its COMPLETE trials, if they are known.

    Returns:
        None until there are 10 such trials, and for a single objective.
    """
    trials = feasible_trials(study, complete)
    box = reference_box(study, trials)
    if box is None:
        return None
    scaled = _scaled(losses([t.values for t in trials], study.directions), box)
    return dominance.hypervolume(scaled, np.ones(scaled.shape[1]))


def hypervolume_history(study: Study, most: int = 200) -> list[tuple[int, float]]:
    """How `hypervolume` grew: (feasible COMPLETE trials so far, hypervolume), by completion.

    Args:
        study: The study.
        most: How many points at most, evenly spread; the first and the last are among them.

    Returns:
        Empty where `hypervolume` is None.
    """
    trials = in_order_of_completion(feasible_trials(study))
    box = reference_box(study, trials)
    if box is None:
        return []
    scaled = _scaled(losses([t.values for t in trials], study.directions), box)
    found: list[tuple[int, float]] = []
    best = scaled[:0]
    start, volume = 0, 0.0
    for end in np.unique(np.linspace(1, len(scaled), most).round().astype(int)).tolist():
        joined = np.concatenate([best, scaled[start:end]])
        kept = nondominated(joined)
        if kept[len(best) :].any():
            volume = dominance.hypervolume(joined[kept], np.ones(scaled.shape[1]))
        found.append((end, volume))
        best, start = joined[kept], end
    return found


def in_order_of_completion(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Finished trials by the time they ended; those without a time first."""
    return sorted(
        trials,
        key=lambda t: (t.datetime_complete.timestamp() if t.datetime_complete else 0.0, t.number),
    )


def reference_box(study: Study, trials: Sequence[FrozenTrial]) -> tuple[Array, Array] | None:
    """The best corner of the box of `hypervolume`, and its reference point, as losses.

    Args:
        study: The study.
        trials: Its feasible COMPLETE trials.
    """
    stored: Any = study._storage.get_study_system_attrs(study._study_id).get(REFERENCE)
    if stored is not None:
        return np.array(stored["ideal"]), np.array(stored["reference"])
    if len(trials) < REFERENCE_TRIALS or len(study.directions) < 2:
        return None
    first = in_order_of_completion(trials)[:REFERENCE_TRIALS]
    points = losses([t.values for t in first], study.directions)
    if not np.isfinite(points).all():
        return None
    ideal, worst = points.min(axis=0), points.max(axis=0)
    spread = np.where(worst > ideal, worst - ideal, np.maximum(np.abs(worst), 1.0))
    return ideal, worst + 0.1 * spread


def _scaled(points: Array, box: tuple[Array, Array]) -> Array:
    ideal, reference = box
    return (points - ideal) / (reference - ideal)


def keep_reference(study: Study) -> bool:
    """Writes the box of `hypervolume` into the study, once there are trials enough.

    Returns:
        Whether it stands there.
    """
    attrs = study._storage.get_study_system_attrs(study._study_id)
    if REFERENCE in attrs:
        return True
    box = reference_box(study, feasible_trials(study))
    if box is not None:
        value = {"ideal": box[0].tolist(), "reference": box[1].tolist()}
        study._storage.set_study_system_attr(study._study_id, REFERENCE, value)
    return box is not None
