"""Makes a search space of a class and the choices for its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial
from torch import nn

from optnas.errors import CandidateError, InputError, with_place
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


@dataclass(frozen=True)
class _Configured:
    """Makes a network of a configuration."""

    config: Callable[..., Any]
    build: Callable[[Any], nn.Module]

    def __call__(self, **chosen: Any) -> nn.Module:
        return self.build(self.config(**chosen))


class ModelSpace(SearchSpace[ModelArchitecture]):
    """A search space of one class: each model is a call with one choice for each argument.

    Choices need not fit together (a hidden size that its heads don't divide). Where the call raises
    ValueError or AssertionError, the trial fails with its message, and the study goes on.

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
        model: A class or function, also a `functools.partial` of one, for arguments that stay the
            same; `model(**chosen)` returns a `torch.nn.Module`.
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
        self._model, self._name = model, callable_name(model)
        self._distributions = {name: as_distribution(name, c) for name, c in choices.items()}
        self._objects = {name: c for name, c in choices.items() if isinstance(c, Mapping)}
        self._example_inputs = checked_inputs(example_inputs)
        # Here, where the file is as it was imported, and a refusal names the line that gave it.
        self._code = code_hash(model, *self._objects.values())

    @classmethod
    def from_config(
        cls,
        config: Callable[..., Any],
        choices: Mapping[str, Sequence[Any] | Mapping[str, Any] | BaseDistribution],
        build: Callable[[Any], nn.Module],
        example_inputs: Inputs,
    ) -> ModelSpace:
        """A search space of networks that are made of configurations, as those of transformers are.

        Example:
            ```python
            from dataclasses import dataclass

            import torch

            import optnas


            @dataclass
            class Config:
                hidden_size: int = 8
                layers: int = 1


            def build(config):
                sizes = [4] + [config.hidden_size] * config.layers
                return torch.nn.Sequential(*map(torch.nn.Linear, sizes, sizes[1:]))


            space = optnas.ModelSpace.from_config(
                Config, {"hidden_size": [8, 16], "layers": [1, 2]}, build, torch.zeros(1, 4)
            )
            ```

        Args:
            config: The configuration's class, or a `functools.partial` of it, for settings that
                stay the same; it is called with one choice for each setting.
            choices: For each setting, as in `ModelSpace`.
            build: `build(config(**chosen))` returns a `torch.nn.Module`: a class such as
                `BertForSequenceClassification`, or a function.
            example_inputs: As in `ModelSpace`.

        Raises:
            TypeError: `config` or `build` can't be called, or a choice is of a wrong type.
            ValueError: As in `ModelSpace`.
        """
        for name, given in (("config", config), ("build", build)):
            if not callable(given):
                raise TypeError(f"{name} must be a class or a function, got {given!r}")
        space = cls(_Configured(config, build), choices, example_inputs)
        space._name = f"{callable_name(build)} of {callable_name(config)}"
        return space

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
        """Calls the class with the chosen values.

        Raises:
            CandidateError: It refuses them.
        """
        chosen = {
            name: self._objects[name][value] if name in self._objects else value
            for name, value in architecture.choices
        }
        try:
            return self._model(**chosen)
        except InputError:
            raise
        except (ValueError, AssertionError) as error:
            raise CandidateError(with_place(error)) from error

    @property
    def code(self) -> str:
        """A hash of the class, and of the objects that labels stand for."""
        return self._code

    def __repr__(self) -> str:
        return f"ModelSpace({self._name}, {self._distributions})"
