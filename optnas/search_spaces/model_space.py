"""Makes a search space of a class and the choices for its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial
from torch import nn

from optnas.search_spaces.base import SearchSpace
from optnas.utils.code_hash import callable_name, code_hash
from optnas.utils.distributions import as_distribution, choices_of, suggest
from optnas.utils.inputs import Inputs, checked_inputs
from optnas.utils.param_text import has_twin, params_text


@dataclass(frozen=True)
class ModelArchitecture:
    """The chosen value (or its label) of each argument, in the order of the choices."""

    choices: tuple[tuple[str, Any], ...]
    _quoted: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    def __str__(self) -> str:
        return params_text(self.choices, self._quoted)


class ModelSpace(SearchSpace[ModelArchitecture]):
    """A search space of one class: each model is a call with one choice for each argument.

    Example:
        ```python
        import torch
        from torch import nn

        import optnas


        class Net(nn.Module):
            def __init__(self, width, activation):
                super().__init__()
                self.body = nn.Sequential(nn.Linear(4, width), activation(), nn.Linear(width, 3))

            def forward(self, x):
                return self.body(x)


        space = optnas.ModelSpace(
            Net,
            {"width": [8, 16, 32], "activation": {"relu": nn.ReLU, "tanh": nn.Tanh}},
            torch.zeros(1, 4),
        )
        ```

    Args:
        model: A class or function; `model(**chosen)` returns a `torch.nn.Module`.
        choices: For each argument, a sequence of values (None, bool, int, float, str); or a
            dictionary from labels to objects (`{"relu": nn.ReLU}`), where the labels are stored; or
            an Optuna distribution (`IntDistribution(1, 5)`).
        example_inputs: One batch element with the batch dimension (of size 1) first.

    Raises:
        TypeError: `model` can't be called, or a choice is none of these.
        ValueError: There are no choices, those for an argument are empty, or two of them are equal
            but for their type (`1` and `True`).
    """

    def __init__(
        self,
        model: Callable[..., nn.Module],
        choices: Mapping[str, Sequence[Any] | Mapping[str, Any] | BaseDistribution],
        example_inputs: Inputs,
    ) -> None:
        if not callable(model):
            raise TypeError(f"model must be a class or a function, got {model!r}")
        if not choices:
            raise ValueError("choices is empty: give at least one argument something to choose")
        self._model = model
        self._distributions = {name: as_distribution(name, c) for name, c in choices.items()}
        self._objects = {name: c for name, c in choices.items() if isinstance(c, Mapping)}
        self._example_inputs = checked_inputs(example_inputs)
        # Here, where the file is as it was imported, and a refusal names the line that gave it.
        self._code = code_hash(model, *self._objects.values())

    @property
    def example_inputs(self) -> Inputs:
        """The given example inputs."""
        return self._example_inputs

    def suggest(self, trial: BaseTrial) -> ModelArchitecture:
        """Draws a value for each argument."""
        distributions = self._distributions
        drawn = {name: suggest(trial, name, dist) for name, dist in distributions.items()}
        quoted = (n for n, value in drawn.items() if has_twin(value, choices_of(distributions[n])))
        return ModelArchitecture(tuple(drawn.items()), frozenset(quoted))

    def build(self, architecture: ModelArchitecture) -> nn.Module:
        """Calls the class with the chosen values."""
        return self._model(
            **{
                name: self._objects[name][value] if name in self._objects else value
                for name, value in architecture.choices
            }
        )

    @property
    def code(self) -> str:
        """A hash of the class, and of the objects that labels stand for."""
        return self._code

    def __repr__(self) -> str:
        return f"ModelSpace({callable_name(self._model)}, {self._distributions})"
