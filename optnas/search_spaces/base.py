"""The abstract search space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields
from typing import TYPE_CHECKING, Generic, TypeVar

import torch
from optuna.trial import BaseTrial
from torch import Tensor, nn

from optnas.utils.code_hash import class_code
from optnas.utils.inputs import Inputs
from optnas.utils.remakable import Remakable

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Architecture = TypeVar("Architecture")
"""A frozen dataclass with a canonical `str()`: equal strings mean equal networks."""

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "hard_swish": nn.Hardswish,
}


class SearchSpace(Remakable, ABC, Generic[Architecture]):
    """A set of architectures, defined by a function that draws one through an Optuna trial.

    `suggest` is the only definition of the space, and the decoder too: called with a finished trial
    or with `optuna.trial.FixedTrial(params)`, it returns that trial's architecture. Parameter names
    are paths (`layer2.kernel_size`) and stay the same between versions of the code.

    `optnas.testing.SpaceContract` has the tests of a space.

    Example:
        ```python
        from dataclasses import dataclass

        import torch

        import optnas


        @dataclass(frozen=True)
        class Perceptron:
            width: int

            def __str__(self):
                return f"perceptron {self.width}"


        @dataclass(frozen=True)
        class PerceptronSpace(optnas.SearchSpace):
            inputs: int

            @property
            def example_inputs(self):
                return torch.zeros(1, self.inputs)

            def suggest(self, trial):
                return Perceptron(trial.suggest_int("width", 8, 64))

            def build(self, architecture):
                width = architecture.width
                return torch.nn.Sequential(
                    torch.nn.Linear(self.inputs, width), torch.nn.ReLU(), torch.nn.Linear(width, 1)
                )
        ```
    """

    @property
    @abstractmethod
    def example_inputs(self) -> Inputs:
        """One batch element with the batch dimension (of size 1) first.

        A tensor, a tuple of tensors, or a dictionary of tensors by argument name.
        """

    @abstractmethod
    def suggest(self, trial: BaseTrial) -> Architecture:
        """Draws an architecture through `trial.suggest_*`."""

    @abstractmethod
    def build(self, architecture: Architecture) -> nn.Module:
        """Makes the network of an architecture, with new weights at each call."""

    @property
    def fingerprint(self) -> str:
        """A text that differs between spaces; a study resumes only with the same one."""
        return repr(self)

    @property
    def code(self) -> str:
        """A hash of your own code that defines the space; empty for a space of optnas."""
        return class_code(self)


def without_defaults(space: DataclassInstance, *later: str) -> str:
    """The text of a space, without later settings where they have their defaults.

    So studies from before there were these settings resume.
    """
    shown = (
        f"{field.name}={value!r}"
        for field in fields(space)
        if (value := getattr(space, field.name)) != field.default or field.name not in later
    )
    return f"{type(space).__qualname__}({', '.join(shown)})"


def random_example(*shape: int) -> Tensor:
    """Returns a standard normal tensor of shape `(1, *shape)`, the same at every call."""
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))


def dropout_layer(probability: float) -> nn.Module:
    """Dropout; nothing where the probability is 0."""
    return nn.Dropout(probability) if probability > 0 else nn.Identity()
