"""Dominance of points, and what follows from it (moocore does the mathematics).

Points are losses, less is better in each: an array of shape (points, objectives). `losses` is where
maximised objectives are negated, and `dominates` is the test of dominance; all code uses these two.
"""

from __future__ import annotations

from collections.abc import Sequence

import moocore
import numpy as np
from numpy.typing import NDArray
from optuna.study import StudyDirection

Array = NDArray[np.float64]

LOG_RATIO = 20.0
"""Positive values that span more than this factor are drawn on a log scale."""


def losses(values: Sequence[Sequence[float]], directions: Sequence[StudyDirection]) -> Array:
    """Values as an array of shape (trials, objectives), maximised ones negated.

    Args:
        values: A row for each trial.
        directions: Of the objectives.
    """
    signs = [-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in directions]
    return np.asarray(values, dtype=np.float64).reshape(-1, len(signs)) * signs


def dominates(one: Array, other: Array) -> NDArray[np.bool_]:
    """Whether one point dominates another: it is no worse in any objective, and better in one.

    A point with a NaN dominates none, and none dominates it.

    Args:
        one: A point of shape `(objectives,)`, or points of shape `(points, objectives)`.
        other: Likewise; the two are broadcast.

    Returns:
        Of shape `()` or `(points,)`.

    Example:
        ```python
        import numpy as np

        from optnas.pareto.dominance import dominates

        points = np.array([[1.0, 4.0], [2.0, 2.0], [3.0, 3.0]])
        print(dominates(points, np.array([3.0, 3.0])))  # [False  True False]
        ```
    """
    return np.asarray((one <= other).all(axis=-1) & (one < other).any(axis=-1))


def nondominated(points: Array) -> NDArray[np.bool_]:
    """Which points no other one dominates; equal points are all kept."""
    if len(points) == 0:
        return np.zeros(0, dtype=bool)
    if points.shape[1] == 1:  # moocore wants two objectives
        best: NDArray[np.bool_] = points[:, 0] == points[:, 0].min()
        return best
    kept: NDArray[np.bool_] = moocore.is_nondominated(_finite(points), keep_weakly=True)
    return kept


def ranks(points: Array) -> NDArray[np.int_]:
    """Non-dominated sorting: 0 for the front, 1 for the front of what remains, and so on.

    Equal points have one rank (Deb et al., NSGA-II, 2002).
    """
    if len(points) == 0:
        return np.zeros(0, dtype=int)
    different, which = np.unique(points, axis=0, return_inverse=True)
    if points.shape[1] == 1:
        return which.reshape(-1)
    found: NDArray[np.int_] = moocore.pareto_rank(_finite(different))[which.reshape(-1)]
    return found


def _finite(points: Array) -> Array:
    """Finite points in the same order: with infinite ones moocore errs, or crashes the process."""
    if np.isfinite(points).all():
        return points
    columns = [np.unique(values, return_inverse=True)[1].reshape(-1) for values in points.T]
    return np.array(columns, dtype=np.float64).T.copy()


def crowding(points: Array) -> Array:
    """The crowding distance of each point: the gap between its neighbours, over all objectives.

    Unlike Deb et al. (2002), the outermost points have the gap to their one neighbour, twice, and
    not an infinite distance: with many objectives most points are outermost in one.
    """
    distance = np.zeros(len(points))
    for values in points.T:
        order = np.argsort(values, kind="stable")
        gaps = np.diff(values[order])
        distance[order] += np.append(gaps[:1], gaps) + np.append(gaps, gaps[-1:])
    return distance


def wants_log(values: Sequence[float] | Array) -> bool:
    """Whether values span so much that differences only show on a log scale.

    Infinite values don't count.
    """
    array = np.asarray(values, dtype=np.float64)
    array = array[np.isfinite(array)]
    if len(array) == 0:
        return False
    low, high = float(array.min()), float(array.max())
    return low > 0 and high > LOG_RATIO * low


def tamed(points: Array) -> Array:
    """Points that can be added, subtracted and squared: neither infinite nor close to overflow.

    An infinite value becomes the objective's largest or smallest finite one (0 if there is none),
    and NaN the largest.
    An objective with values beyond 2^500 is multiplied by 2^-600. A power of two changes no digit,
    so the differences within an objective stay in proportion.

    Args:
        points: Of shape `(points, objectives)`.
    """
    known = np.isfinite(points)
    low = np.where(known, points, np.inf).min(axis=0, initial=np.inf)
    high = np.where(known, points, -np.inf).max(axis=0, initial=-np.inf)
    some = known.any(axis=0)
    inside = np.where(np.isnan(points), np.inf, points)
    inside = np.clip(inside, np.where(some, low, 0.0), np.where(some, high, 0.0))
    return inside * unit(inside)


def unit(points: Array) -> Array:
    """The power of two by which `tamed` multiplies each objective: 1 for values of usual size."""
    finite = np.where(np.isfinite(points), np.abs(points), 0.0)
    large = finite.max(axis=0, initial=0.0) > 2.0**500
    return np.where(large, 2.0**-600, 1.0)


def excess(points: Array, limits: Array) -> Array:
    """How far points lie beyond limits, of shape `(points, objectives)`; 0 within.

    It is a multiple of the limit's size (of 1 where the limit is 0), and infinite where the point
    or the limit is infinite.

    Args:
        points: Losses of shape `(points, objectives)`.
        limits: Of shape `(objectives,)`.
    """
    size = np.where(limits == 0, 1.0, np.abs(limits))
    with np.errstate(over="ignore", invalid="ignore"):
        found = (points - limits) / size
    # Of two infinite values the difference or the quotient is NaN.
    beyond: Array = np.where(points > limits, np.nan_to_num(found, nan=np.inf, posinf=np.inf), 0.0)
    return beyond


def way_from_best(points: Array, *, logs: bool = True) -> Array:
    """Where each value lies between the best (0) and the worst (1) of its objective.

    An infinite value has the place of the best or the worst finite one.

    Args:
        points: Losses of shape `(points, objectives)`.
        logs: Whether an objective that spans more than a factor of 20 is taken by its logarithm, as
            it is drawn.
    """
    shares = np.zeros(points.shape)
    for i, values in enumerate(points.T):
        known = values[np.isfinite(values)]
        if len(known) == 0:
            shares[:, i] = values > 0
            continue
        values = np.clip(values, known.min(), known.max())
        sign = -1.0 if (values < 0).all() else 1.0  # a maximised objective, negated
        if logs and wants_log(sign * values):
            values = sign * np.log(sign * values)
        values = tamed(values[:, None])[:, 0]
        if values.max() > values.min():
            shares[:, i] = (values - values.min()) / (values.max() - values.min())
    return shares


def least(points: Array, distances: Array) -> int:
    """The position of the point with the least distance, unless infinite values decide.

    A point with fewer infinitely bad values is preferred, then one with more infinitely good ones.

    Args:
        points: Losses of shape `(points, objectives)`.
        distances: Of shape `(points,)`.
    """
    bad, good = np.isposinf(points).sum(axis=1), np.isneginf(points).sum(axis=1)
    return int(np.lexsort((distances, -good, bad))[0])


def knees(points: Array) -> list[int]:
    """The positions of the points closest to the ideal point: the best value of each objective.

    Distances are Euclidean after `way_from_best` (compromise programming: Yu 1973, Zeleny 1973).
    Infinite values decide before distances do (see `least`). Of equally close points, the first is
    best in the first objective in which they differ.
    """
    distances = (way_from_best(points) ** 2).sum(axis=1)
    one = least(points, distances)
    near = np.isclose(distances, distances[one], rtol=1e-9, atol=0.0)
    for infinite in (np.isposinf(points).sum(axis=1), np.isneginf(points).sum(axis=1)):
        near &= infinite == infinite[one]
    equal = np.flatnonzero(near)
    return [int(i) for i in equal[np.lexsort(points[equal].T[::-1])]]
