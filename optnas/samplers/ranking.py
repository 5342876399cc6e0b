"""Ranks trials: feasible ones first, then by dominance, then by hypervolume contribution."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import moocore
import numpy as np
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.dominance import Array, crowding, excess, losses, ranks, tamed
from optnas.study.attributes import STOPPED, is_stopped

REFERENCE = 1.1
"""The reference point of contributions, as a multiple of the front's extent."""
MOST_OBJECTIVES, MOST_POINTS = 4, 200
"""With more, hypervolume contributions take too long to compute at every trial."""


def violation(trial: FrozenTrial) -> float:
    """The sum of a trial's constraint violations; 0 if it is feasible."""
    return float(sum(max(value, 0.0) for value in trial.constraints.values()))


def may_be_parent(trial: FrozenTrial) -> bool:
    """Whether the trial's quality is known: by its values, or by how infeasible it is."""
    if trial.state == TrialState.PRUNED:
        return violation(trial) > 0
    return trial.state == TrialState.COMPLETE


def at_best(trial: FrozenTrial) -> FrozenTrial:
    """Returns a trial that was stopped early as if it had ended at its best; others as they are.

    Without it, the sampler would propose similar architectures again and again. A trial is stopped
    when it looks worst: on average it would have ended closer to its best than to its prediction.
    """
    if not is_stopped(trial):
        return trial
    ended = copy(trial)
    ended.state, ended.values = TrialState.COMPLETE, trial.user_attrs[STOPPED]["at_best"]
    return ended


def shortfall(points: Array, limits: Array) -> Array:
    """How far points lie beyond the reference point, 0 within it; of shape `(points,)`.

    It is the sum over the objectives of the distance, as a multiple of the limit's size (of 1 where
    the limit is 0).

    Args:
        points: Losses of shape `(points, objectives)`.
        limits: The reference point, of shape `(objectives,)`: inf where there is no limit.
    """
    with np.errstate(over="ignore"):  # too far to count is infinitely far
        total: Array = excess(points, limits).sum(axis=1)
    return total


def best_first(
    trials: Sequence[FrozenTrial],
    directions: Sequence[StudyDirection],
    limits: Array | None = None,
    number: int | None = None,
) -> list[int]:
    """The positions of the trials, the best one first.

    Feasible trials within the reference point come first, by non-dominated rank and within a rank
    by `contributions` (with one objective, by its value). Feasible ones beyond it follow by their
    `shortfall`, then infeasible ones by their violation (Deb et al., A fast and elitist
    multiobjective genetic algorithm: NSGA-II, 2002). Equal trials keep their order.

    Args:
        trials: Trials that may be parents.
        directions: Of the objectives.
        limits: The reference point as losses, of shape `(objectives,)`; None for none.
        number: How many are wanted, all by default.
    """
    broken = np.array([violation(trial) for trial in trials])
    good, bad = np.flatnonzero(broken == 0), np.flatnonzero(broken > 0)
    order = bad[np.argsort(broken[bad], kind="stable")].tolist()
    if len(good):
        points = losses([trials[int(i)].values for i in good], directions)
        short = np.zeros(len(good)) if limits is None else shortfall(points, limits)
        inside, beyond = np.flatnonzero(short == 0), np.flatnonzero(short > 0)
        order = good[beyond[np.argsort(short[beyond], kind="stable")]].tolist() + order
        if len(inside):
            order = good[inside[_rank(points[inside], number)]].tolist() + order
    return list(order[:number])


def best_and_newest(
    trials: Sequence[FrozenTrial],
    directions: Sequence[StudyDirection],
    limits: Array | None,
    number: int,
) -> list[FrozenTrial]:
    """At most a number of the trials, in their order: half of them the best, the others the newest.

    Args:
        trials: Trials that may be parents, in the order of completion.
        directions: Of the objectives.
        limits: See `best_first`.
        number: The number.
    """
    if len(trials) <= number:
        return list(trials)
    best = set(best_first(trials, directions, limits, number // 2))
    newest = [i for i in range(len(trials)) if i not in best][-(number - len(best)) :]
    return [trials[i] for i in sorted(best.union(newest))]


def _rank(points: Array, number: int | None) -> NDArray[np.intp]:
    """The positions of points within the reference point; only the first `number` are in order."""
    if points.shape[1] == 1:
        return np.argsort(points[:, 0], kind="stable")
    rank = ranks(points)
    gain = np.zeros(len(points))
    for value in np.unique(np.sort(rank)[:number]):  # a contribution takes long
        rows = np.flatnonzero(rank == value)
        gain[rows] = contributions(points[rows])
    return np.lexsort((-gain, rank))


def contributions(points: Array) -> Array:
    """How much each point of a front adds to the front's hypervolume.

    Each objective is scaled so that the front's best value is 0 and its worst is 1. The worst value
    is at most three interquartile ranges above the upper quartile (Tukey's far-out fence): a single
    network that diverged, and is small, must not flatten the differences between all others. The
    reference point is 1.1 in each objective. With more than 4 objectives or 200 points, the
    crowding distance stands in for the contribution.

    Args:
        points: Losses of shape `(points, objectives)`; none dominates another.

    Returns:
        An array of shape `(points,)`, without NaN.
    """
    if len(points) == 1:
        return np.ones(1)
    points = tamed(points)
    ordered = np.sort(points, axis=0)
    quarter, upper = ordered[len(points) // 4], ordered[3 * len(points) // 4]
    worst = np.minimum(ordered[-1], upper + 3 * (upper - quarter))
    extent = np.where(worst > ordered[0], worst - ordered[0], 1.0)
    with np.errstate(over="ignore"):  # too far to count is beyond the reference point
        scaled = np.clip((points - ordered[0]) / extent, 0.0, REFERENCE)
    if scaled.shape[1] > MOST_OBJECTIVES or len(scaled) > MOST_POINTS:
        return crowding(scaled)
    gain: Array = moocore.hv_contributions(scaled, ref=[REFERENCE] * scaled.shape[1])
    return gain
