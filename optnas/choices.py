"""Choices as people write them, and as Optuna draws them."""

from __future__ import annotations

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
