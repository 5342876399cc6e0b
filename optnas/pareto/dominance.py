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
    kept: NDArray[np.bool_] = moocore.is_nondominated(points, keep_weakly=True)
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
    found: NDArray[np.int_] = moocore.pareto_rank(different)[which.reshape(-1)]
    return found


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
    """Whether values span so much that differences only show on a log scale."""
    array = np.asarray(values, dtype=np.float64)
    if len(array) == 0 or not np.isfinite(array).all():
        return False
    return bool(array.min() > 0 and array.max() > LOG_RATIO * array.min())


def way_from_best(points: Array) -> Array:
    """Where each value lies between the best (0) and the worst (1) of its objective.

    An objective that spans more than a factor of 20 is taken by its logarithm, as it is drawn.
    """
    shares = np.zeros(points.shape)
    for i, values in enumerate(points.T):
        sign = -1.0 if (values < 0).all() else 1.0  # a maximised objective, negated
        if wants_log(sign * values):
            values = sign * np.log(sign * values)
        known = values[np.isfinite(values)]
        if len(known) and known.max() > known.min():
            values = np.clip(values, known.min(), known.max())
            shares[:, i] = (values - known.min()) / (known.max() - known.min())
    return shares


def knee(points: Array) -> int:
    """The position of the point closest to the ideal point, which has the best of everything.

    Distances are Euclidean after `way_from_best` (compromise programming: Yu 1973, Zeleny 1973).
    """
    return int(np.argmin((way_from_best(points) ** 2).sum(axis=1)))
