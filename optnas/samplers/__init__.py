"""Samplers of architectures, one algorithm a file; `make_sampler` makes them by name."""

from __future__ import annotations

from collections.abc import Callable

import optuna
from optuna.samplers import BaseSampler

from optnas.errors import InputError
from optnas.samplers.ask import Ask, Draw
from optnas.samplers.base import HistorySampler
from optnas.samplers.evolution import RegularizedEvolutionSampler
from optnas.samplers.gradient import GradientSampler
from optnas.samplers.language_model import LanguageModelSampler
from optnas.samplers.local_search import LocalSearchSampler
from optnas.samplers.predictor import PredictorSampler
from optnas.samplers.qlearning import QLearningSampler
from optnas.samplers.reinforce import ReinforceSampler
from optnas.samplers.reseeded import ReseededSampler
from optnas.samplers.staged import Stage, StagedSampler
from optnas.utils.text import there_are

_OPTNAS: dict[str, Callable[[int | None], BaseSampler]] = {
    "predictor": lambda seed: PredictorSampler(seed=seed),
    "evolution": lambda seed: RegularizedEvolutionSampler(seed=seed),
    "local_search": lambda seed: LocalSearchSampler(seed=seed),
    "reinforce": lambda seed: ReinforceSampler(seed=seed),
    "qlearning": lambda seed: QLearningSampler(seed=seed),
    "gradient": lambda seed: GradientSampler(seed=seed),
}
_OPTUNA: dict[str, Callable[[int], BaseSampler]] = {
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "nsgaii": lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
    "nsgaiii": lambda seed: optuna.samplers.NSGAIIISampler(seed=seed),
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed),
}

SAMPLERS = (*_OPTNAS, *_OPTUNA)
"""The names that `make_sampler` accepts."""


def make_sampler(name: str, seed: int | None = None) -> BaseSampler:
    """Makes a sampler by its name, with its default settings.

    Args:
        name: `predictor`, `evolution`, `local_search`, `reinforce`, `qlearning` or
            `gradient` of optnas; `random`, `tpe`, `nsgaii`, `nsgaiii` or `gp` of Optuna.
        seed: The study's seed. Without one, the sampler takes the seed that the study keeps, or
            draws one and keeps it there.

    Raises:
        InputError: There is no sampler of this name.

    Example:
        ```python
        import optuna

        from optnas.samplers import make_sampler

        study = optuna.create_study(sampler=make_sampler("evolution", seed=0))
        ```
    """
    if name in _OPTNAS:
        return _OPTNAS[name](seed)
    if name not in _OPTUNA:
        raise InputError(f"unknown sampler {name!r}; {there_are(name, SAMPLERS)}")
    return ReseededSampler(_OPTUNA[name], seed)


__all__ = [
    "SAMPLERS",
    "Ask",
    "Draw",
    "GradientSampler",
    "HistorySampler",
    "LanguageModelSampler",
    "LocalSearchSampler",
    "PredictorSampler",
    "QLearningSampler",
    "RegularizedEvolutionSampler",
    "ReinforceSampler",
    "ReseededSampler",
    "Stage",
    "StagedSampler",
    "make_sampler",
]


def __dir__() -> list[str]:
    return __all__
