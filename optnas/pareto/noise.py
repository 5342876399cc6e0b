"""Which members of a front are there only by differences within the noise of a measurement.

A measured latency has a 95 % interval: the range in which another measurement, at another time,
would lie (`optnas.metrics.timing`). Two values whose intervals overlap aren't told apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from optnas.pareto.dominance import Array, losses
from optnas.study.attributes import DETAIL

SHOWN = 0.02
"""An interval is shown from this half width on, as a share of the value."""


def interval(trial: FrozenTrial, name: str) -> tuple[float, float] | None:
    """The 95 % interval of a measured value; None where there is none."""
    detail = trial.user_attrs.get(f"{DETAIL}{name}")
    found = detail.get("interval") if isinstance(detail, dict) else None
    if not isinstance(found, list) or len(found) != 2:
        return None
    if not all(isinstance(end, (int, float)) and math.isfinite(end) for end in found):
        return None
    return float(min(found)), float(max(found))


def error(trial: FrozenTrial, name: str, value: float) -> float:
    """Half the width of a value's interval, as a share of the value; 0 where there is none."""
    found = interval(trial, name)
    return (found[1] - found[0]) / 2 / value if found and value > 0 else 0.0


def with_error(trial: FrozenTrial, name: str, value: float, text: str) -> str:
    """The text of a value, with its error in percent where that is worth showing."""
    found = interval(trial, name)
    share = wider_side(value, *found) if found and value > 0 else 0.0
    return f"{text} ±{share:.0%}" if share >= SHOWN else text


def wider_side(value: float, low: float, high: float) -> float:
    """How far a value's interval reaches from it, as a share of the value.

    The lower side ends at 0 where the error is larger than the value.
    """
    return max(high - value, value - low) / value


def typical_errors(trials: Sequence[FrozenTrial], names: Sequence[str]) -> dict[str, float]:
    """The median `error` of each objective that has intervals, by name."""
    found = {}
    for i, name in enumerate(names):
        shares = [error(t, name, t.values[i]) for t in trials if interval(t, name)]
        if shares:
            found[name] = median(shares)
    return found


def within_noise(
    trials: Sequence[FrozenTrial], names: Sequence[str], directions: Sequence[StudyDirection]
) -> dict[int, int]:
    """The members of a front that another one dominates but for differences within noise.

    The other one is no worse in any objective without an interval, not surely worse in one with an
    interval, and surely better in at least one objective of either kind.

    Args:
        trials: The members.
        names: The objectives.
        directions: Their directions.

    Returns:
        For the number of each such member the number of the other one.
    """
    low, high = _ends(trials, names, directions)
    if (low == high).all():
        return {}
    found = {}
    for i, trial in enumerate(trials):
        not_worse = (low <= high[i]).all(axis=1)
        better = (high < low[i]).any(axis=1)
        others = np.flatnonzero(not_worse & better)
        if len(others):
            found[trial.number] = trials[int(others[0])].number
    return found


def _ends(
    trials: Sequence[FrozenTrial], names: Sequence[str], directions: Sequence[StudyDirection]
) -> tuple[Array, Array]:
    """The lower and upper end of each value as a loss, both of shape `(trials, objectives)`."""
    rows = [
        [interval(t, n) or (v, v) for n, v in zip(names, t.values, strict=True)] for t in trials
    ]
    one = losses([[ends[0] for ends in row] for row in rows], directions)
    other = losses([[ends[1] for ends in row] for row in rows], directions)
    return np.minimum(one, other), np.maximum(one, other)
