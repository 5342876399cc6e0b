"""The limits of a study, its reference point: what is worse than it in an objective gains nothing.

BoTorch calls it `ref_point`, Ax objective thresholds. What is given, and a study keeps, is in
`optnas.study.reference`. Where an objective has no limit, the first trials span the box in which
hypervolume is measured (`optnas.pareto.reference_box`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.dominance import Array, losses
from optnas.study.attributes import BASELINE
from optnas.study.objectives import maximized, objective_names
from optnas.study.reference import Reference, stored_reference
from optnas.utils.text import number


def reference_limits(study: Study, trials: Sequence[FrozenTrial]) -> Array:
    """The reference point of a study as losses, of shape `(objectives,)`; inf for no limit.

    Args:
        study: The study.
        trials: Its trials; the COMPLETE baselines among them count, if they break no bound.
    """
    kept = stored_reference(study)
    if kept is None:
        return np.full(len(study.directions), np.inf)
    baselines = {
        str(t.user_attrs[BASELINE]): t.values
        for t in trials
        if t.state == TrialState.COMPLETE
        and BASELINE in t.user_attrs
        and all(excess <= 0 for excess in t.constraints.values())
    }
    return limits_of(kept, objective_names(study), study.directions, baselines)


def is_given(study: Study, limits: Array, position: int) -> bool:
    """Whether the limit of an objective was given, or is a baseline's; so it isn't only chance.

    Args:
        study: The study.
        limits: As `reference_limits` has them.
        position: The position of the objective.
    """
    kept = stored_reference(study)
    if kept is None or not math.isfinite(limits[position]):
        return False
    names = objective_names(study)
    chance = losses([[kept.chance.get(name, 0.0) for name in names]], study.directions)[0]
    return names[position] not in kept.chance or bool(limits[position] < chance[position])


def limits_of(
    reference: Reference,
    names: Sequence[str],
    directions: Sequence[StudyDirection],
    baselines: Mapping[str, Sequence[float]],
) -> Array:
    """The limit of each objective as a loss, of shape `(objectives,)`; inf for no limit.

    Args:
        reference: What the limits are made of.
        names: The objectives.
        directions: Their directions.
        baselines: The values of the baselines, by name.
    """

    def limits(values: Mapping[str, float]) -> Array:
        row = losses([[values.get(name, 0.0) for name in names]], directions)[0]
        found: Array = np.where([name in values for name in names], row, np.inf)
        return found

    if isinstance(reference.given, str):
        known = [v for name, v in baselines.items() if reference.given in ("", name)]
        found = losses(known, directions).max(axis=0, initial=-np.inf)
        found = np.where(np.isfinite(found), found, np.inf)
    else:
        found = limits(reference.given)
    least: Array = np.minimum(found, limits(reference.chance))
    return least


def limit_values(study: Study, trials: Sequence[FrozenTrial]) -> list[float | None]:
    """The limit of each objective, as its values are; None for no limit."""
    found = losses([reference_limits(study, trials).tolist()], study.directions)[0].tolist()
    return [value if math.isfinite(value) else None for value in found]


def limits_text(study: Study, trials: Sequence[FrozenTrial]) -> str:
    """The reference point in words; empty if there are no limits."""
    found = limit_values(study, trials)
    names, more = objective_names(study), maximized(study)
    return ", ".join(
        f"{name} {'≥' if up else '≤'} {number(value)}"
        for name, up, value in zip(names, more, found, strict=True)
        if value is not None
    )
