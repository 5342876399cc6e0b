"""Distributions of parameters: made from choices, numbered value by value, scaled to 0 … 1.

Nothing here is random; `optnas.utils.draws` is.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial

from optnas.errors import InputError

LARGEST = sys.float_info.max
CLOSE = 1e-8
"""The share of a step by which a value may miss its place; also Optuna's."""
DIGITS = 9
"""Values on steps are told apart by at most this number of a step's digits."""


def as_distribution(name: str, choices: object) -> BaseDistribution:
    """Turns the choices that a user gave for a parameter into a distribution.

    Args:
        name: The parameter's, for messages.
        choices: A sequence of values, a mapping from labels to objects (the labels are drawn), or a
            distribution, which is returned as it is.

    Raises:
        TypeError: `choices` is none of these, or a value is of a type that Optuna can't store.
        ValueError: There are no choices, or two of them are equal.
    """
    if isinstance(choices, BaseDistribution):
        check_choices(name, choices_of(choices))
        return choices
    if isinstance(choices, str) or not isinstance(choices, (Sequence, Mapping)):
        raise TypeError(
            f"the choices for {name!r} must be a sequence of values, a dictionary from labels to "
            f"objects, or an Optuna distribution; got {choices!r}"
        )
    if not choices:
        raise ValueError(f"the choices for {name!r} are empty")
    odd = [v for v in choices if not isinstance(v, (bool, int, float, str, type(None)))]
    if odd:
        raise TypeError(
            f"the choices for {name!r} must be None, bool, int, float or str, got {odd[0]!r}; give "
            "other objects a label: {'label': object}"
        )
    check_choices(name, choices)
    return CategoricalDistribution(tuple(choices))


def choices_of(distribution: BaseDistribution) -> tuple[Any, ...]:
    """The choices of a categorical distribution; a range has none."""
    return distribution.choices if isinstance(distribution, CategoricalDistribution) else ()


def check_choices(name: str, choices: Iterable[object]) -> None:
    """Raises InputError if two choices are equal.

    Optuna would store one as the other, `True` as `1`; and a choice that is given twice would be
    drawn twice as often, and counted twice.
    """
    first: dict[object, object] = {}
    for value in choices:
        if not isinstance(value, (int, float, str, type(None))):
            continue
        if value not in first:
            first[value] = value
            continue
        other = first[value]
        if type(other) is type(value):
            raise InputError(f"{name} has the choice {value!r} twice: leave one out")
        raise InputError(
            f"the choices for {name!r} hold {other!r} and {value!r}, which are equal, so that a "
            "study stores the first in place of the second: leave one out, or choose between "
            "strings that stand for them"
        )


def suggest(trial: BaseTrial, name: str, distribution: BaseDistribution) -> Any:
    """Calls the `trial.suggest_*` that draws from a distribution."""
    match distribution:
        case CategoricalDistribution():
            return trial.suggest_categorical(name, distribution.choices)
        case IntDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_int(name, low, high, step=step, log=log)
        case FloatDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_float(name, low, high, step=step, log=log)
        case _:
            raise TypeError(f"unknown distribution {cast(object, distribution)!r}")


def options(distribution: BaseDistribution) -> int:
    """How many values a distribution has; 0 stands for a continuous range."""
    if distribution.single():
        return 1
    match distribution:
        case CategoricalDistribution():
            return len(distribution.choices)
        case IntDistribution():
            return (distribution.high - distribution.low) // distribution.step + 1
        case FloatDistribution(step=None):
            return 0
        case FloatDistribution():
            return math.floor(_steps(distribution, distribution.high) + CLOSE) + 1
        case _:
            raise TypeError(f"unknown distribution {distribution!r}")


def option(distribution: BaseDistribution, index: int) -> Any:
    """The value at an index, counted from 0 for the lowest (or first); not of continuous ranges."""
    match distribution:
        case CategoricalDistribution():
            return distribution.choices[index]
        case IntDistribution():
            return distribution.low + index * distribution.step
        case FloatDistribution(low=low, high=high, step=step):
            scale = _scale(distribution)
            return min((low * scale + index * ((step or 0.0) * scale)) / scale, high)
        case _:
            raise TypeError(f"unknown distribution {distribution!r}")


def option_number(distribution: BaseDistribution, value: Any) -> int:
    """The index of a value (see `option`); 0 in a continuous range.

    A value outside of the range has an index beyond those of the range; an infinite one, that of
    the nearer end.
    """
    match distribution:
        case CategoricalDistribution():
            return int(distribution.to_internal_repr(value))
        case IntDistribution():
            return int((value - distribution.low) // distribution.step)
        case FloatDistribution(step=float()) if math.isinf(value):
            return options(distribution) - 1 if value > 0 else 0
        case FloatDistribution(step=float()):
            return round(_steps(distribution, value))
        case _:
            return 0


def on_step(distribution: BaseDistribution, value: Any) -> Any:
    """A value as all others on its step are written; without steps, or between them, as it is.

    On steps of 0.1, the values 0.3 and 0.1 * 3 are one.
    """
    stepped = isinstance(distribution, FloatDistribution) and distribution.step is not None
    if stepped and contains(distribution, value):
        return option(distribution, option_number(distribution, value))
    return value


def as_key(distribution: BaseDistribution, value: Any) -> float:
    """The number that stands for a value: the index of a category, else the value itself.

    Values on one step have the same, also where the range around it differs.
    """
    key = float(distribution.to_internal_repr(on_step(distribution, value)))
    if isinstance(distribution, FloatDistribution) and distribution.step is not None:
        return round(key, max(DIGITS - math.floor(math.log10(distribution.step)), 0))
    return key


def is_same(distribution: BaseDistribution, value: Any, other: Any) -> bool:
    """Whether two values are equal, or on one step."""
    return bool(on_step(distribution, value) == on_step(distribution, other))


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a distribution has a value."""
    try:
        key = float(distribution.to_internal_repr(value))
    except (ValueError, TypeError):
        return False
    if isinstance(distribution, FloatDistribution):
        return distribution.low <= key <= distribution.high and holds(distribution, key)
    return holds(distribution, key)


def holds(distribution: BaseDistribution, key: float) -> bool:
    """Whether a distribution has a value, given by its key (see `as_key`)."""
    if not isinstance(distribution, FloatDistribution) or distribution.step is None:
        return distribution._contains(key)
    steps = _steps(distribution, key)
    if not -CLOSE < steps < options(distribution):
        return False
    return abs(steps - round(steps)) < CLOSE


def to_unit(distribution: BaseDistribution, value: float) -> float:
    """Where a value lies in its range, from 0 to 1; on a log scale if the range has one."""
    ordered = _ordered(distribution)
    low, high = _bounds(ordered)
    if ordered.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    else:
        value *= _scale(ordered)
    if high <= low:  # a range too narrow for its logarithms to differ
        return 0.0
    return min(max((value - low) / (high - low), 0.0), 1.0)


def from_unit(distribution: BaseDistribution, unit: float) -> Any:
    """The inverse of `to_unit`; in a range with steps, the nearest value."""
    ordered = _ordered(distribution)
    low, high = _bounds(ordered)
    if ordered.log:
        power = math.log(low) + unit * (math.log(high) - math.log(low))
        value = math.exp(min(power, math.log(LARGEST)))
    else:
        value = (low + unit * (high - low)) / _scale(ordered)
    value = min(max(value, ordered.low), ordered.high)
    if ordered.step is None:
        return value
    number = math.floor(_steps(ordered, value) + 0.5)
    return option(ordered, min(number, options(ordered) - 1))


def _ordered(distribution: BaseDistribution) -> FloatDistribution | IntDistribution:
    if isinstance(distribution, (FloatDistribution, IntDistribution)):
        return distribution
    raise TypeError(f"{distribution!r} has no order")


def _bounds(distribution: FloatDistribution | IntDistribution) -> tuple[float, float]:
    """The ends of the range, scaled; one with steps is widened by half a step at both ends."""
    scale = 1.0 if distribution.log else _scale(distribution)
    half = (distribution.step or 0.0) / 2 * scale
    return distribution.low * scale - half, distribution.high * scale + half


def _steps(distribution: FloatDistribution | IntDistribution, value: float) -> float:
    """How many steps a value lies above the lowest one."""
    scale = _scale(distribution)
    return (value * scale - distribution.low * scale) / ((distribution.step or 1.0) * scale)


def _scale(distribution: FloatDistribution | IntDistribution) -> float:
    """What values are multiplied with before their difference is taken, so that it is a float."""
    largest = max(-distribution.low, distribution.high, distribution.step or 0)
    return 1.0 if largest < LARGEST / 4 else 0.25
