"""Samplers, by name."""

from __future__ import annotations

from collections.abc import Callable

import optuna
from optuna.samplers import BaseSampler

from optnas.errors import InputError
from optnas.samplers.placed import PlacedSampler

_OPTUNA: dict[str, Callable[[int], BaseSampler]] = {
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "nsgaii": lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
    "nsgaiii": lambda seed: optuna.samplers.NSGAIIISampler(seed=seed),
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed),
}

SAMPLERS = tuple(_OPTUNA)
"""The names that `make_sampler` knows."""


def make_sampler(name: str, seed: int | None = None) -> BaseSampler:
    """Makes a sampler by its name, with the settings that Optuna gives it.

    Args:
        name: `random`, `tpe`, `nsgaii`, `nsgaiii` or `gp`.
        seed: The study's seed; left out, the one it keeps, or one drawn and kept.

    Raises:
        InputError: There is no sampler of this name.
    """
    if name not in _OPTUNA:
        raise InputError(f"unknown sampler {name!r}; there are: {', '.join(SAMPLERS)}")
    return PlacedSampler(_OPTUNA[name], seed)


__all__ = ["SAMPLERS", "PlacedSampler", "make_sampler"]
