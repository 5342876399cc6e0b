"""The Pareto front of a study and its hypervolume (moocore does the mathematics).

These work on any Optuna study, whoever made it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import moocore
import numpy as np
from numpy.typing import NDArray
from optuna.exceptions import ExperimentalWarning
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optnas.trials import DUPLICATE_OF

Array = NDArray[np.float64]
REFERENCE = "optnas:reference"
REFERENCE_TRIALS = 10


def objective_names(study: Study) -> list[str]:
    """The names of the objectives: the study's metric names, or `objective 0` and so on."""
    return study.metric_names or [f"objective {i}" for i in range(len(study.directions))]


def name_objectives(study: Study, names: Sequence[str]) -> None:
    """Writes the objectives' names into the study, for tables and for the dashboard's menus."""
    if study.metric_names != list(names):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(names))


def is_feasible(trial: FrozenTrial) -> bool:
    """Whether no constraint of the trial is broken."""
    return all(value <= 0 for value in trial.constraints.values())


def feasible_trials(study: Study) -> list[FrozenTrial]:
    """The COMPLETE trials without a broken constraint, by number."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [trial for trial in trials if is_feasible(trial)]


def losses(values: Sequence[Sequence[float]], directions: Sequence[StudyDirection]) -> Array:
    """Values as an array of shape (trials, objectives), maximised ones negated."""
    signs = [-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in directions]
    return np.asarray(values, dtype=np.float64).reshape(-1, len(signs)) * signs


def nondominated(points: Array) -> NDArray[np.bool_]:
    """Which rows of losses no other row dominates; equal rows are all kept."""
    if len(points) == 0:
        return np.zeros(0, dtype=bool)
    if points.shape[1] == 1:  # moocore wants two objectives
        best: NDArray[np.bool_] = points[:, 0] == points[:, 0].min()
        return best
    kept: NDArray[np.bool_] = moocore.is_nondominated(points, keep_weakly=True)
    return kept


def front(study: Study) -> list[FrozenTrial]:
    """The feasible COMPLETE trials that no other one dominates, by number.

    A trial that reused the values of another (same architecture, same recipe) is left out: the
    other one stands for it.
    """
    trials = [t for t in feasible_trials(study) if DUPLICATE_OF not in t.user_attrs]
    if not trials:
        return []
    mask = nondominated(losses([t.values for t in trials], study.directions))
    return [trial for trial, kept in zip(trials, mask, strict=True) if kept]


def hypervolume(study: Study) -> float | None:
    """The hypervolume of the front, as a share of a box that the study's first trials span.

    The box reaches from the best to the worst value of each objective among the first 10 feasible
    COMPLETE trials (in the order of completion), widened by a tenth at the worst end: its corner
    there is the reference point. It is kept in the study, so that later values can be compared;
    a front that passes the best corner can have more than 1.

    Returns:
        None until there are 10 such trials, and for a single objective.
    """
    trials = feasible_trials(study)
    box = _reference_box(study, trials)
    if box is None:
        return None
    ideal, reference = box
    points = losses([t.values for t in trials], study.directions)
    scaled = (points - ideal) / (reference - ideal)
    scaled = scaled[(scaled < 1).all(axis=1) & np.isfinite(scaled).all(axis=1)]
    if len(scaled) == 0:
        return 0.0
    scaled = scaled[nondominated(scaled)]
    return float(moocore.hypervolume(scaled, ref=np.ones(scaled.shape[1])))


def _reference_box(study: Study, trials: list[FrozenTrial]) -> tuple[Array, Array] | None:
    """The best corner of the box, and its reference point, as losses."""
    stored: Any = study._storage.get_study_system_attrs(study._study_id).get(REFERENCE)
    if stored is not None:
        return np.array(stored["ideal"]), np.array(stored["reference"])
    if len(trials) < REFERENCE_TRIALS or len(study.directions) < 2:
        return None
    by_completion = sorted(trials, key=lambda t: (t.datetime_complete, t.number))
    points = losses([t.values for t in by_completion[:REFERENCE_TRIALS]], study.directions)
    if not np.isfinite(points).all():
        return None
    ideal, worst = points.min(axis=0), points.max(axis=0)
    spread = np.where(worst > ideal, worst - ideal, np.maximum(np.abs(worst), 1.0))
    return ideal, worst + 0.1 * spread


def keep_reference(study: Study) -> bool:
    """Writes the box of `hypervolume` into the study, once there are trials enough.

    Returns:
        Whether it stands there.
    """
    attrs = study._storage.get_study_system_attrs(study._study_id)
    if REFERENCE in attrs:
        return True
    box = _reference_box(study, feasible_trials(study))
    if box is not None:
        value = {"ideal": box[0].tolist(), "reference": box[1].tolist()}
        study._storage.set_study_system_attr(study._study_id, REFERENCE, value)
    return box is not None
