"""Choices as people write them, as Optuna draws them, and as numbered options."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial


def as_distribution(name: str, choices: object) -> BaseDistribution:
    """Turns a sequence of values, a mapping from labels, or a distribution into a distribution."""
    if isinstance(choices, BaseDistribution):
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
    return CategoricalDistribution(tuple(choices))


def draw(trial: BaseTrial, name: str, distribution: BaseDistribution) -> Any:
    """Draws a parameter with a given distribution from a trial."""
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
    """The number of values; 0 stands for a continuous range."""
    if distribution.single():
        return 1
    match distribution:
        case CategoricalDistribution():
            return len(distribution.choices)
        case IntDistribution():
            return (distribution.high - distribution.low) // distribution.step + 1
        case FloatDistribution(step=None):
            return 0
        case FloatDistribution(step=float(step)):
            return math.floor((distribution.high - distribution.low) / step + 1e-8) + 1
        case _:
            raise TypeError(f"unknown distribution {distribution!r}")


def option(distribution: BaseDistribution, index: int) -> Any:
    """The value with a number, counted from the lowest (or first) one; not of continuous ranges."""
    match distribution:
        case CategoricalDistribution():
            return distribution.choices[index]
        case IntDistribution():
            return distribution.low + index * distribution.step
        case FloatDistribution(low=low, high=high, step=step):
            return min(low + index * (step or 0.0), high)
        case _:
            raise TypeError(f"unknown distribution {distribution!r}")


def option_number(distribution: BaseDistribution, value: Any) -> int:
    """The number of a value (see `option`)."""
    match distribution:
        case CategoricalDistribution():
            return int(distribution.to_internal_repr(value))
        case IntDistribution():
            return int((value - distribution.low) // distribution.step)
        case FloatDistribution(low=low, step=float(step)):
            number: int = round((value - low) / step)
            return number
        case _:
            return 0


def stored(distribution: BaseDistribution, value: Any) -> float:
    """A value as Optuna stores it: the number of a category, any other as it is."""
    return float(distribution.to_internal_repr(value))
