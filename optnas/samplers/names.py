"""Names of architectures: of the same network drawn by other decisions, too."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from optuna import TrialPruned
from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial, FixedTrial, FrozenTrial

from optnas.samplers.history import History
from optnas.study.attributes import ARCHITECTURE, RECIPE
from optnas.utils.distributions import contains
from optnas.utils.text import ADDRESS

Suggest = Callable[[BaseTrial], object]
"""Draws an architecture from a trial, such as `SearchSpace.suggest`; what it returns names the
architecture (see `name_of`)."""
UNSOUND = (TrialPruned, RuntimeError, ValueError, LookupError, ArithmeticError)
"""Raised for an architecture that is incomplete, or has no network that runs."""


def name_of(drawn: object) -> str:
    """The name of what a space drew: its `str`.

    It is empty for None, for what isn't told apart by its text (modules, tensors and arrays, also
    in a tuple, list, dictionary or dataclass) and for a text that holds an address in memory.
    """
    name = "" if drawn is None or _is_vague(drawn) else str(drawn)
    return "" if ADDRESS.search(name) else name


def _is_vague(drawn: object) -> bool:
    """Whether different objects of this kind may have the same text."""
    torch = sys.modules.get("torch")  # plain Optuna needs none for an ask
    if torch and isinstance(drawn, (torch.nn.Module, torch.Tensor)):
        return True
    if isinstance(drawn, np.ndarray):
        return True
    if type(drawn).__str__ is not object.__str__:
        return False  # the class says what its text is
    if isinstance(drawn, dict):
        return any(map(_is_vague, drawn.values()))
    if isinstance(drawn, (tuple, list, set, frozenset)):
        return any(map(_is_vague, drawn))
    if is_dataclass(drawn) and not isinstance(drawn, type):
        return any(_is_vague(getattr(drawn, field.name)) for field in fields(drawn) if field.repr)
    return False


def suggest_of(space: Any) -> Suggest | None:
    """The function that draws from a space: a `SearchSpace`, such a function itself, or None.

    Raises:
        TypeError: `space` is something else.
    """
    suggest: Suggest | None = getattr(space, "suggest", space)
    if suggest is not None and not callable(suggest):
        raise TypeError(f"space must be a SearchSpace or a function of a trial, got {space!r}")
    return suggest


class Names:
    """The names of a study's trials.

    Args:
        suggest: Draws the architectures.
        stored: Whether each trial keeps what `suggest` returned for it: the pair of the
            architecture's string and the recipe's (see `optnas.Objective.suggest`).
    """

    def __init__(self, suggest: Suggest, *, stored: bool = False) -> None:
        self._suggest, self._stored = suggest, stored

    def tried(self, history: History) -> Collection[str]:
        """The names of all finished and running trials that have one."""
        finished = history.fold(self._start, self._add)
        running: set[str] = set()
        for trial in history.running:
            self._add(running, trial)
        return finished | running

    def _start(self, history: History) -> set[str]:
        return set()

    def _add(self, names: set[str], trial: FrozenTrial) -> None:
        stored = trial.user_attrs.get(ARCHITECTURE), trial.user_attrs.get(RECIPE)
        if self._stored and None not in stored:
            names.add(name_of(stored))
            return
        try:
            name = name_of(self._suggest(Replay(trial.params)))
        except UNSOUND:  # it is still drawn, or has no network
            return
        if name:
            names.add(name)


class Replay(FixedTrial):
    """A trial that draws what was drawn before, or raises LookupError if it can't be drawn now."""

    # Every `suggest_*` of FixedTrial calls this; FixedTrial itself only warns.
    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        if name in self._params and not contains(distribution, self._params[name]):
            raise LookupError(f"{name} can't be {self._params[name]!r}")
        return super()._suggest(name, distribution)
