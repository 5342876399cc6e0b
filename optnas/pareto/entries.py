"""The architectures of a study, as tables and figures show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from optnas.pareto.dominance import losses
from optnas.pareto.front import complete_trials, front, front_of, is_feasible
from optnas.study.attributes import ARCHITECTURE, BASELINE, DUPLICATE_OF
from optnas.study.describe import architecture_name


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
