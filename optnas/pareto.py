"""The Pareto front of a study, its hypervolume and its networks.

These work on any Optuna study, whoever made it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from optuna.exceptions import ExperimentalWarning
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optnas import dominance
from optnas.dominance import Array, losses, nondominated
from optnas.trials import ARCHITECTURE, BASELINE, DUPLICATE_OF

REFERENCE = "optnas:reference"
REFERENCE_TRIALS = 10


class Entry(NamedTuple):
    """One architecture of a study, as tables and figures show it.

    Attributes:
        trial: The trial that stands for it: the first of its trials on the front; where there is
            none, the first feasible one of the lowest non-dominated rank among them.
        architecture: What it is called.
        trials: The numbers of all its COMPLETE trials (other recipes, reused values).
        feasible: Whether the trial breaks no constraint.
        on_front: Whether it is on the front.
        baseline: The name of the hand-made network, if it is one.
    """

    trial: FrozenTrial
    architecture: str
    trials: tuple[int, ...]
    feasible: bool
    on_front: bool
    baseline: str | None


def objective_names(study: Study) -> list[str]:
    """The names of the objectives: the study's metric names, or `objective 0` and so on."""
    return study.metric_names or [f"objective {i}" for i in range(len(study.directions))]


def maximized(study: Study) -> list[bool]:
    """Whether each objective is maximised."""
    return [direction == StudyDirection.MAXIMIZE for direction in study.directions]


def name_objectives(study: Study, names: Sequence[str]) -> None:
    """Writes the objectives' names into the study, for tables and for the dashboard's menus."""
    if study.metric_names != list(names):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(names))


def architecture_name(trial: FrozenTrial) -> str:
    """What a trial's network is called: its canonical string, or its parameters."""
    name = trial.user_attrs.get(ARCHITECTURE)
    if name:
        return str(name)
    return " ".join(f"{k}={v}" for k, v in trial.params.items()) or "(no parameters)"


def is_feasible(trial: FrozenTrial) -> bool:
    """Whether no constraint of the trial is broken."""
    return all(value <= 0 for value in trial.constraints.values())


def complete_trials(study: Study) -> list[FrozenTrial]:
    """The COMPLETE trials, by number."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def feasible_trials(
    study: Study, complete: Sequence[FrozenTrial] | None = None
) -> list[FrozenTrial]:
    """The COMPLETE trials without a broken constraint, by number.

    Args:
        study: The study.
        complete: Its COMPLETE trials, if they are known.
    """
    complete = complete_trials(study) if complete is None else complete
    return [trial for trial in complete if is_feasible(trial)]


def front(study: Study, complete: Sequence[FrozenTrial] | None = None) -> list[FrozenTrial]:
    """The feasible COMPLETE trials that no other one dominates, by number.

    A trial that reused the values of another (same architecture, same recipe) is left out: the
    other one stands for it.

    Args:
        study: The study.
        complete: Its COMPLETE trials, if they are known.
    """
    trials = [t for t in feasible_trials(study, complete) if DUPLICATE_OF not in t.user_attrs]
    return front_of(trials, study.directions)


def front_of(
    trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]
) -> list[FrozenTrial]:
    """Those trials that no other one among them dominates."""
    mask = nondominated(losses([t.values for t in trials], directions))
    return [trial for trial, kept in zip(trials, mask, strict=True) if kept]


def why_no_front(study: Study) -> str:
    """What to say of a study whose front is empty."""
    n = len(complete_trials(study))
    if not n:
        return f"study {study.study_name!r} has no COMPLETE trial yet: run it first"
    return (
        f"study {study.study_name!r} has no front: each of its COMPLETE trials ({n}) breaks a "
        "bound; relax it, or search further"
    )


def entries(study: Study) -> list[Entry]:
    """The architectures of a study's COMPLETE trials, by the number of their first trial."""
    groups: dict[str, list[FrozenTrial]] = {}
    directions = study.directions
    complete = complete_trials(study)
    feasible = {trial.number for trial in complete if is_feasible(trial)}
    members = {
        trial.number
        for trial in front_of(
            [t for t in complete if t.number in feasible and DUPLICATE_OF not in t.user_attrs],
            directions,
        )
    }
    for trial in complete:
        unknown = not trial.params and ARCHITECTURE not in trial.user_attrs
        key = f"trial {trial.number}" if unknown else architecture_name(trial)
        groups.setdefault(key, []).append(trial)
    found = []
    for group in groups.values():
        trial = _representative(group, feasible, members, directions)
        found.append(
            Entry(
                trial,
                architecture_name(trial),
                tuple(t.number for t in group),
                trial.number in feasible,
                trial.number in members,
                trial.user_attrs.get(BASELINE),
            )
        )
    return found


def _representative(
    group: list[FrozenTrial],
    feasible: set[int],
    members: set[int],
    directions: Sequence[StudyDirection],
) -> FrozenTrial:
    if len(group) == 1:
        return group[0]
    own = [t for t in group if DUPLICATE_OF not in t.user_attrs] or group
    candidates = [t for t in own if t.number in members]
    candidates = candidates or front_of([t for t in own if t.number in feasible], directions)
    return (candidates or own)[0]


def baselines(study: Study, every: Sequence[Entry] | None = None) -> list[tuple[Entry, list[int]]]:
    """The hand-made networks, each with the numbers of the front's trials that dominate it.

    Args:
        study: The study.
        every: Its `entries`, if they are known.
    """
    every = entries(study) if every is None else every
    known = [entry for entry in every if entry.baseline is not None]
    if not known:
        return []
    members = front(study)
    points = losses([t.values for t in members], study.directions)
    found = []
    for entry in known:
        point = losses([entry.trial.values], study.directions)
        better = np.flatnonzero((points <= point).all(axis=1) & (points < point).any(axis=1))
        found.append((entry, [members[i].number for i in better]))
    return found


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
