"""Draws the value of a parameter at random, or moves it to another one.

Both skip the values that are closed (they lead to nothing new), unless all are.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from random import Random
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from optnas.utils.distributions import (
    as_key,
    from_unit,
    holds,
    option,
    option_number,
    options,
    to_unit,
)

LISTED = 512
"""A range with more values than this is drawn from without a list of its values."""
TRIES = 100
"""How often a value that isn't closed is drawn before the closed ones are left out one by one."""
COUNTED = 100_000
"""In a range with more values than this, no list says which of them are left."""
SMALLEST_STEP = 1e-3
"""The smallest move in a continuous range, as a share of the range."""


def draw(rng: Random, distribution: BaseDistribution, closed: Collection[float] = ()) -> Any:
    """Draws a value at random: uniformly, or uniformly in the logarithm where the range says so.

    Args:
        rng: The generator.
        distribution: The parameter's.
        closed: The keys (see `as_key`) of values to skip.
    """
    n = options(distribution)
    if n == 0:
        return from_unit(distribution, rng.random())
    if n > LISTED and isinstance(distribution, CategoricalDistribution):
        return _category(rng, distribution, closed)
    if n > LISTED:
        for _ in range(TRIES):
            value = from_unit(distribution, rng.random())
            if as_key(distribution, value) not in closed:
                return value
        if n > COUNTED:
            return value
    if isinstance(distribution, IntDistribution) and distribution.log:
        return _pick(rng, distribution, log_weights(distribution), closed)
    if closed:
        return _pick(rng, distribution, [1.0] * n, closed)
    return option(distribution, rng.randrange(n))


def move(
    rng: Random, distribution: BaseDistribution, value: Any, closed: Collection[float] = ()
) -> Any:
    """Moves to another value: any other category, or, more often, a near one of an ordered range.

    The distance of a move in an ordered range has the density 1/distance. So all orders of
    magnitude are equally likely, and no setting is needed for fine steps or for leaps. In a
    continuous range a move is at least a thousandth of the width.

    Args:
        rng: The generator.
        distribution: The parameter's; it must have at least two values.
        value: The present value.
        closed: The keys (see `as_key`) of values to skip.
    """
    n = options(distribution)
    if n > LISTED and isinstance(distribution, CategoricalDistribution):
        return _category(rng, distribution, closed, option_number(distribution, value))
    if n == 0 or n > LISTED:
        smallest = 1 / n if n else SMALLEST_STEP
        unit = to_unit(distribution, value)
        for _ in range(TRIES):
            step = math.copysign(smallest ** rng.random(), rng.random() - 0.5)
            if not 0 <= unit + step <= 1:
                continue
            moved = from_unit(distribution, unit + step)
            if moved != value and as_key(distribution, moved) not in closed:
                return moved
        return draw(rng, distribution, closed)
    return _pick(rng, distribution, move_weights(distribution, value), closed)


def move_weights(distribution: BaseDistribution, value: Any) -> list[float]:
    """The weight of a move to each of the distribution's values; 0 for the present one."""
    n, own = options(distribution), option_number(distribution, value)
    if isinstance(distribution, CategoricalDistribution):
        return [float(i != own) for i in range(n)]
    return [1 / abs(i - own) if i != own else 0.0 for i in range(n)]


def log_weights(distribution: IntDistribution) -> list[float]:
    """The weight of each whole number of a logarithmic range: how much of it rounds to it."""
    numbers = range(distribution.low, distribution.high + 1, distribution.step)
    return [math.log((i + 0.5) / (i - 0.5)) for i in numbers]


def _category(
    rng: Random,
    distribution: CategoricalDistribution,
    closed: Collection[float],
    present: int | None = None,
) -> Any:
    """Draws one of many categories, but not the present one."""
    n = len(distribution.choices)
    for _ in range(TRIES):
        number = rng.randrange(n)
        if number != present and number not in closed:
            return distribution.choices[number]
    return _pick(rng, distribution, [float(i != present) for i in range(n)], closed)


def _pick(
    rng: Random, distribution: BaseDistribution, weights: Sequence[float], closed: Collection[float]
) -> Any:
    open_weights = without(weights, distribution, closed)
    return option(distribution, rng.choices(range(len(weights)), open_weights)[0])


def without(
    weights: Sequence[float], distribution: BaseDistribution, closed: Collection[float]
) -> list[float]:
    """Sets the weights of closed values to 0, unless all are closed."""
    left = list(weights)
    for number in numbers_of(distribution, closed):
        left[number] = 0.0
    return left if any(left) else list(weights)


def numbers_of(distribution: BaseDistribution, keys: Collection[float]) -> set[int]:
    """The indices of values, given by their keys; the range may lack some of them by now."""
    there = [key for key in keys if holds(distribution, key)]
    if isinstance(distribution, CategoricalDistribution):
        return {int(key) for key in there}
    return {option_number(distribution, distribution.to_external_repr(key)) for key in there}
