"""Dominance and hypervolume of points (moocore does the mathematics).

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

EXACT_OBJECTIVES = 5
"""With more objectives a hypervolume is approximated, because an exact one takes too long."""
SAMPLES = 2**15
"""Directions of an approximated hypervolume: 0.1 % off with 6 objectives and 500 members, in a
fourteenth of the exact one's time (`benchmarks/pareto.py`)."""
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


def is_exact(objectives: int) -> bool:
    """Whether `hypervolume` is exact with this number of objectives."""
    return objectives <= EXACT_OBJECTIVES


def hypervolume(points: Array, reference: Array) -> float:
    """The volume that the points dominate, up to the reference point.

    Exact with up to 5 objectives. Beyond, it is moocore's approximation on a fixed set of
    directions, which is deterministic and never falls when a point is added.
    """
    inside = points[(points < reference).all(axis=1) & np.isfinite(points).all(axis=1)]
    if len(inside) == 0:
        return 0.0
    if points.shape[1] == 1:
        return float(reference[0] - inside.min())
    inside = inside[nondominated(inside)]
    if is_exact(points.shape[1]):
        return float(moocore.hypervolume(inside, ref=reference))
    return float(moocore.hv_approx(inside, ref=reference, nsamples=SAMPLES))


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


def spread(points: Array, number: int) -> list[int]:
    """Positions of this number of points that together keep most of the hypervolume of all.

    Each next point is the one that adds most to those taken before, after `way_from_best`; the
    result is within 1 - 1/e of the best choice (Guerreiro, Fonseca and Paquete,
    Greedy hypervolume subset selection in low dimensions, Evolutionary Computation, 2016).
    """
    scaled = way_from_best(points)
    reference = np.full(points.shape[1], 1.1)
    chosen: list[int] = []
    while len(chosen) < min(number, len(points)):
        added = gains(scaled, scaled[chosen], reference)
        added[chosen] = -np.inf
        chosen.append(int(added.argmax()))
    return chosen


def gains(points: Array, front: Array, reference: Array) -> Array:
    """By how much each point alone would raise the hypervolume of a front, up to the reference.

    Where no point would, each has minus its distance from doing so: the additive epsilon indicator
    (Zitzler et al., Performance assessment of multiobjective optimizers, 2003) to the front. With
    more than 5 objectives that indicator is all there is: how far each is ahead of the front.

    Args:
        points: Of shape `(points, objectives)`.
        front: Of shape `(members, objectives)`; may be empty.
        reference: Of shape `(objectives,)`.
    """
    front = front[(front < reference).all(axis=1)]
    if is_exact(len(reference)):
        gained: Array = np.prod(np.maximum(reference - points, 0.0), axis=1)
        for i in np.flatnonzero(gained):
            gained[i] -= hypervolume(np.maximum(front, points[i]), reference)
        # What rounding leaves of 0 is no gain.
        gained[gained < 1e-12] = 0.0
        if gained.any():
            return gained
    beyond: Array = (points - reference).max(axis=1)
    behind = (points[:, None] - front[None]).min(axis=2).max(axis=1, initial=-np.inf)
    ahead: Array = -np.maximum(beyond, behind)
    return ahead
