"""A search space of named choices without networks, for code that builds the networks itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import torch
from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial
from torch import Tensor

from optnas.errors import InputError
from optnas.search_spaces.base import SearchSpace
from optnas.search_spaces.model_space import ModelArchitecture
from optnas.utils.distributions import as_distribution, choices_of, suggest
from optnas.utils.param_text import has_twin


class ParameterSpace(SearchSpace[ModelArchitecture]):
    """Named choices alone: what is chosen goes to a command, which builds the network.

    As optnas doesn't have the networks, it can't count or time them, and keeps no weights: the
    command can print what it counts, which is read as a score. Give a space that builds the same
    networks (`ModelSpace`, `FunctionSpace`) for all of that.

    Example:
        ```python
        import optnas
        from optuna.distributions import IntDistribution

        space = optnas.ParameterSpace({"n_layer": IntDistribution(1, 6), "n_embd": [32, 64]})
        ```

    Args:
        choices: For each name, a sequence of values (None, bool, int, float, str) or an Optuna
            distribution.

    Raises:
        TypeError: A choice is none of these. There are no labels, as `ModelSpace` has: a command
            gets what is drawn.
        ValueError: There are no choices, those for a name are empty, or two of them are equal but
            for their type (`1` and `True`).
    """

    def __init__(self, choices: Mapping[str, Sequence[Any] | BaseDistribution]) -> None:
        if not choices:
            raise ValueError("choices is empty: give at least one name something to choose")
        for name, given in choices.items():
            if isinstance(given, Mapping):
                raise TypeError(
                    f"the choices for {name!r} are a dictionary, and a command gets what is drawn: "
                    f"give the values as a list ({list(given.values())}), or the labels as a list "
                    "and what they stand for by the evaluator's `suggest`"
                )
        self._distributions = {name: as_distribution(name, c) for name, c in choices.items()}

    @property
    def example_inputs(self) -> Tensor:
        """Nothing: there is no network that could take it."""
        return torch.empty(1, 0)

    def suggest(self, trial: BaseTrial) -> ModelArchitecture:
        """Draws a value for each name."""
        distributions = self._distributions
        drawn = {name: suggest(trial, name, dist) for name, dist in distributions.items()}
        quoted = (n for n, value in drawn.items() if has_twin(value, choices_of(distributions[n])))
        return ModelArchitecture(tuple(drawn.items()), frozenset(quoted))

    def build(self, architecture: ModelArchitecture) -> NoReturn:
        """There is no network to build.

        Raises:
            InputError: Always.
        """
        raise InputError(
            "a ParameterSpace has no networks: give a space that builds them (ModelSpace, "
            "FunctionSpace) to count, time, draw or keep them"
        )

    def __repr__(self) -> str:
        return f"ParameterSpace({self._distributions})"
