"""Makes a search space of a define-by-run function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from optuna.trial import BaseTrial, FixedTrial
from torch import nn

from optnas.errors import InputError
from optnas.search_spaces.abilities import Relaxable
from optnas.search_spaces.base import SearchSpace
from optnas.search_spaces.choice import RelaxedTrial
from optnas.utils.code_hash import callable_name, code_hash
from optnas.utils.distributions import check_choices
from optnas.utils.inputs import Inputs, checked_inputs
from optnas.utils.param_text import has_twin, params_text


@dataclass(frozen=True)
class FunctionArchitecture:
    """The parameters that the function drew, in that order."""

    params: tuple[tuple[str, Any], ...]
    _made: list[nn.Module] = field(default_factory=list, compare=False, repr=False)
    _quoted: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    def __str__(self) -> str:
        return params_text(self.params, self._quoted) or "(no parameters)"


class FunctionSpace(SearchSpace[FunctionArchitecture], Relaxable):
    """A search space of one function: `build(trial)` draws parameters and returns a model.

    `suggest` runs the function and keeps the model for the first `build`. Any later `build` of the
    same architecture runs the function again with the parameters fixed. The architecture consists
    of these parameters.

    Example:
        ```python
        import torch

        import optnas


        def build(trial):
            width = trial.suggest_int("width", 8, 64, step=8)
            return torch.nn.Sequential(
                torch.nn.Linear(4, width), torch.nn.ReLU(), torch.nn.Linear(width, 3)
            )


        space = optnas.FunctionSpace(build, torch.zeros(1, 4))
        ```

    Args:
        build: Draws with `trial.suggest_*` and returns a `torch.nn.Module`, which may depend on
            nothing but the drawn parameters.
        example_inputs: One batch element with the batch dimension (of size 1) first: a tensor,
            a tuple of tensors, or a dictionary of tensors by argument name.

    Raises:
        TypeError: `build` can't be called.
        InputError: `example_inputs` aren't tensors. From `suggest`: `build` returns no module, or
            gives choices that are equal but for their type (`1` and `True`).
    """

    def __init__(self, build: Callable[[Any], nn.Module], example_inputs: Inputs) -> None:
        if not callable(build):
            raise TypeError(f"build must be a function of a trial, got {build!r}")
        self._build = build
        self._example_inputs = checked_inputs(example_inputs)
        self._code = code_hash(build)

    @property
    def example_inputs(self) -> Inputs:
        """The given example inputs."""
        return self._example_inputs

    def suggest(self, trial: BaseTrial) -> FunctionArchitecture:
        """Runs the function; raises InputError unless it returns a module."""
        recorder = _Recorder(trial)
        model = self._build(recorder)
        if not isinstance(model, nn.Module):
            raise InputError(f"{self!r} must return a torch.nn.Module, got {type(model).__name__}")
        quoted = frozenset(recorder.quoted)
        return FunctionArchitecture(tuple(recorder.drawn.items()), [model], quoted)

    def build(self, architecture: FunctionArchitecture) -> nn.Module:
        """Returns the model that `suggest` made, and at later calls a new one."""
        if architecture._made:
            return architecture._made.pop()
        return self._build(FixedTrial(dict(architecture.params)))

    def relaxed(self, trial: RelaxedTrial) -> nn.Module:
        """Runs the function: `optnas.choose` in it makes mixtures. See `Relaxable`."""
        return self._build(trial)

    @property
    def code(self) -> str:
        """A hash of the function."""
        return self._code

    def __repr__(self) -> str:
        return f"FunctionSpace({callable_name(self._build)})"


class _Recorder:
    """A trial that records the parameters that are drawn through it."""

    def __init__(self, trial: BaseTrial) -> None:
        self._trial = trial
        self.drawn: dict[str, Any] = {}
        self.quoted: set[str] = set()

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        check_choices(name, choices)
        value = self._drew(name, self._trial.suggest_categorical(name, choices))
        if has_twin(value, choices):
            self.quoted.add(name)
        return value

    def suggest_int(self, name: str, *args: Any, **kwargs: Any) -> int:
        return cast(int, self._drew(name, self._trial.suggest_int(name, *args, **kwargs)))

    def suggest_float(self, name: str, *args: Any, **kwargs: Any) -> float:
        return cast(float, self._drew(name, self._trial.suggest_float(name, *args, **kwargs)))

    def _drew(self, name: str, value: Any) -> Any:
        self.drawn[name] = value
        return value

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trial, name)
