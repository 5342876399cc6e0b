"""The hypervolume of points, and what a point adds to it (moocore does the mathematics).

Points are losses of shape (points, objectives): see `optnas.pareto.dominance`. The hypervolume of
a study is in `optnas.pareto.study_hypervolume`.
"""

from __future__ import annotations

import moocore
import numpy as np

from optnas.pareto.dominance import Array, nondominated, way_from_best

EXACT_OBJECTIVES = 5
"""With more objectives a hypervolume is approximated, because an exact one takes too long."""
SAMPLES = 2**15
"""Number of directions of an approximation. With 6 objectives and 500 members it is 0.1 % off and
takes a fourteenth of the exact one's time (`benchmarks/pareto.py`)."""


def is_exact(objectives: int) -> bool:
    """Whether `hypervolume_of` is exact with this number of objectives."""
    return objectives <= EXACT_OBJECTIVES


def hypervolume_of(points: Array, reference: Array) -> float:
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


def volume_text(volume: float, digits: int = 4) -> str:
    """A hypervolume with this number of decimals; one of millions, in short."""
    return f"{volume:.{digits}f}" if volume < 1e6 else f"{volume:.{digits}g}"


def spread(points: Array, number: int) -> list[int]:
    """The positions of `number` points that together keep most of the hypervolume of all points.

    Points are scaled by `way_from_best`. Then, one at a time, the point is chosen that adds most to
    those chosen before (see `gains`). With up to 5 objectives the result has at least 1 - 1/e of
    the best choice's hypervolume (Guerreiro, Fonseca and Paquete, Greedy hypervolume subset
    selection in low dimensions, Evolutionary Computation, 2016).
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

    If no point would raise it, the value of a point is minus its distance from raising it: the
    additive epsilon indicator to the front (Zitzler et al., Performance assessment of
    multiobjective optimizers, 2003). With more than 5 objectives only this indicator is used: how
    far each point is ahead of the front.

    Args:
        points: Of shape `(points, objectives)`.
        front: Of shape `(members, objectives)`; may be empty.
        reference: Of shape `(objectives,)`.
    """
    front = front[(front < reference).all(axis=1)]
    if is_exact(len(reference)):
        gained: Array = np.prod(np.maximum(reference - points, 0.0), axis=1)
        # What a member is at least as good as gains nothing.
        gained[np.any(np.all(front[None] <= points[:, None], axis=2), axis=1)] = 0.0
        for i in np.flatnonzero(gained):
            gained[i] -= hypervolume_of(np.maximum(front, points[i]), reference)
        # A gain this small is a rounding error, and counts as 0.
        gained[gained < 1e-12] = 0.0
        if gained.any():
            return gained
    beyond: Array = (points - reference).max(axis=1)
    behind = (points[:, None] - front[None]).min(axis=2).max(axis=1, initial=-np.inf)
    ahead: Array = -np.maximum(beyond, behind)
    return ahead
