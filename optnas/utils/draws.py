"""Drawing the value of one parameter, and changing it.

Both pass over the values that lead to nothing new, as long as there are others.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from random import Random
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optnas.utils.distributions import option, option_number, options, stored

LISTED = 512
"""A range of more values than this isn't listed value by value."""
SMALLEST_STEP = 1e-3
"""Of a change in a continuous range, as a share of the range."""


def draw(rng: Random, distribution: BaseDistribution, closed: Collection[float] = ()) -> Any:
    """Draws a value at random: uniformly, or uniformly in the logarithm where the range says so.

    Args:
        rng: The generator.
        distribution: The parameter's.
        closed: Values (as Optuna stores them) to pass over.
    """
    n = options(distribution)
    if n == 0:
        return from_unit(distribution, rng.random())
    if n > LISTED:
        for _ in range(100):
            value = from_unit(distribution, rng.random())
            if stored(distribution, value) not in closed:
                break
        return value
    if isinstance(distribution, IntDistribution) and distribution.log:
        return _pick(rng, distribution, log_weights(distribution), closed)
    if closed:
        return _pick(rng, distribution, [1.0] * n, closed)
    return option(distribution, rng.randrange(n))


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a value is one of the distribution's."""
    try:
        return distribution._contains(stored(distribution, value))
    except (ValueError, TypeError):
        return False


def move(
    rng: Random, distribution: BaseDistribution, value: Any, closed: Collection[float] = ()
) -> Any:
    """Changes a value: a category to any other, an ordered value more often to a near one.

    The distance of an ordered value's move has the density 1/distance, so every order of magnitude
    is as likely as any other: fine steps and leaps need no setting. Continuous ranges move by at
    least a thousandth of their width.

    Args:
        rng: The generator.
        distribution: The parameter's; it must have two values at least.
        value: The present value.
        closed: Values (as Optuna stores them) to pass over.
    """
    n = options(distribution)
    if n == 0 or n > LISTED:
        smallest = 1 / n if n else SMALLEST_STEP
        unit = to_unit(distribution, value)
        for _ in range(100):
            step = math.copysign(smallest ** rng.random(), rng.random() - 0.5)
            if not 0 <= unit + step <= 1:
                continue
            moved = from_unit(distribution, unit + step)
            if moved != value and stored(distribution, moved) not in closed:
                return moved
        return draw(rng, distribution, closed)
    return _pick(rng, distribution, move_weights(distribution, value), closed)


def move_weights(distribution: BaseDistribution, value: Any) -> list[float]:
    """How likely each value is to be moved to; 0 for the present one."""
    n, own = options(distribution), option_number(distribution, value)
    if isinstance(distribution, CategoricalDistribution):
        return [float(i != own) for i in range(n)]
    return [1 / abs(i - own) if i != own else 0.0 for i in range(n)]


def log_weights(distribution: IntDistribution) -> list[float]:
    """How likely each whole number of a logarithmic range is: the share of it that rounds there."""
    numbers = range(distribution.low, distribution.high + 1, distribution.step)
    return [math.log((i + 0.5) / (i - 0.5)) for i in numbers]


def _pick(
    rng: Random, distribution: BaseDistribution, weights: Sequence[float], closed: Collection[float]
) -> Any:
    open_weights = without(weights, distribution, closed)
    return option(distribution, rng.choices(range(len(weights)), open_weights)[0])


def without(
    weights: Sequence[float], distribution: BaseDistribution, closed: Collection[float]
) -> list[float]:
    """The weights of a distribution's values, those of closed ones 0 (unless all are closed)."""
    left = list(weights)
    for key in closed:
        if distribution._contains(key):  # a range may have been another when it was closed
            left[option_number(distribution, distribution.to_external_repr(key))] = 0.0
    return left if any(left) else list(weights)


def to_unit(distribution: BaseDistribution, value: float) -> float:
    """Where a value lies in its range, from 0 to 1; logarithmically if the range is."""
    ordered = _ordered(distribution)
    low, high = _bounds(ordered)
    if ordered.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    if high <= low:  # a range narrower than its logarithm can tell
        return 0.0
    return min(max((value - low) / (high - low), 0.0), 1.0)


def from_unit(distribution: BaseDistribution, unit: float) -> Any:
    """The value at a place of its range (see `to_unit`), rounded to a step if there are any."""
    ordered = _ordered(distribution)
    low, high = _bounds(ordered)
    if ordered.log:
        value = math.exp(math.log(low) + unit * (math.log(high) - math.log(low)))
    else:
        value = low + unit * (high - low)
    value = min(max(value, ordered.low), ordered.high)
    if ordered.step is None:
        return value
    number = math.floor((value - ordered.low) / ordered.step + 0.5)
    return option(ordered, min(number, options(ordered) - 1))


def _ordered(distribution: BaseDistribution) -> FloatDistribution | IntDistribution:
    if isinstance(distribution, (FloatDistribution, IntDistribution)):
        return distribution
    raise TypeError(f"{distribution!r} has no order")


def _bounds(distribution: FloatDistribution | IntDistribution) -> tuple[float, float]:
    """The range; that of whole numbers and steps is widened by half a step at both ends."""
    half = (distribution.step or 0.0) / 2
    return distribution.low - half, distribution.high + half
