"""Scales of values that the predictor models (part of `predictor`, which has the outline)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from optuna.trial import FrozenTrial

from optnas.pareto.dominance import Array, tamed, unit

CEILING, FRONT_CEILING = 1.0, 1.5
"""Values above a ceiling count as the ceiling: how bad a bad network is teaches nothing about good
ones. The ceiling lies this number of interquartile ranges above the upper quartile of all trials,
and of the front (Tukey's fence); the higher of the two counts."""


class Modelled:
    """Losses as they are modelled: the logarithm of an objective that is always positive.

    What is not positive there, such as the cost of a network without layers, counts as half of the
    smallest positive value. Other objectives are so scaled that they don't overflow (see `tamed`).

    Args:
        values: The losses of trials, of shape `(trials, objectives)`.

    Attributes:
        logs: The objectives that are always positive, of shape `(objectives,)`.
    """

    def __init__(self, values: Array) -> None:
        self.logs = np.array([(v[np.isfinite(v)] > 0).all() for v in values.T], dtype=bool)
        self._unit = unit(np.where(self.logs, 0.0, values))
        self._least = _least(values)

    def __call__(self, values: Array) -> Array:
        """Scales losses of shape `(architectures, objectives)`."""
        least = np.minimum(_least(values), self._least)
        logs = np.log(np.where(values <= 0, least / 2, values))
        return np.where(self.logs, logs, values * self._unit)


def _least(values: Array) -> Array:
    """The smallest positive value of each objective; inf if there is none."""
    found: Array = np.where(values > 0, values, np.inf).min(axis=0, initial=np.inf)
    return found


def fence(values: Array, ranges: float) -> float:
    """A number of interquartile ranges above the upper quartile; infinite if that range is 0."""
    lower, upper = np.quantile(values, [0.25, 0.75])
    return float(upper + ranges * (upper - lower)) if upper > lower else np.inf


def excesses(trials: Sequence[FrozenTrial]) -> list[tuple[list[int], Array]]:
    """For each constraint that was ever broken: the rows of its trials, and its values there.

    The values are those of `scaled_excess`.
    """
    by_constraint: dict[str, dict[int, float]] = {}
    for row, trial in enumerate(trials):
        for name, value in trial.constraints.items():
            by_constraint.setdefault(name, {})[row] = value
    found = []
    for by_row in by_constraint.values():
        values = np.array(list(by_row.values()), dtype=float)
        if (values > 0).any():
            found.append((list(by_row), scaled_excess(values)))
    return found


def scaled_excess(values: Array) -> Array:
    """How far limits are exceeded, scaled by `signed_log`.

    An infinite value keeps its sign, and has the size of the largest finite one (1 if all are 0).
    """
    size = np.abs(values[np.isfinite(values)]).max(initial=0.0) or 1.0
    finite = np.where(np.isinf(values), np.copysign(size, values), values)
    return signed_log(tamed(finite[:, None])[:, 0])


def clipped(losses: Array) -> Array:
    """The losses of an objective: logarithms if all are positive, and none above the ceiling."""
    values = np.log(losses) if (losses > 0).all() else tamed(losses[:, None])[:, 0]
    below: Array = np.minimum(values, fence(values, CEILING))
    return below


def positions(reference: Array, values: Array) -> Array:
    """Where values lie among those of a reference, column by column: from -√3 to √3 (variance 1).

    NaN lies in the middle.
    """
    found = np.zeros(values.shape)
    for column, (seen, asked) in enumerate(zip(reference.T, values.T, strict=True)):
        order = np.sort(seen[~np.isnan(seen)])
        known = ~np.isnan(asked)
        if len(order) and order[-1] > order[0]:
            below = np.searchsorted(order, asked[known], "left")
            up_to = np.searchsorted(order, asked[known], "right")
            found[known, column] = ((below + up_to) / len(order) - 1) * 3**0.5
    return found


def signed_log(values: Array) -> Array:
    """Values in units of their median size, on a log scale to both sides of 0."""
    sizes = np.abs(values)
    unit = max(np.median(sizes), sizes.max() / 1e300) or 1.0  # so that none overflows
    return np.asarray(np.sign(values) * np.log1p(sizes / unit), dtype=float)
