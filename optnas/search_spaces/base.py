"""What a search space is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import torch
from optuna.trial import BaseTrial
from torch import Tensor, nn

from optnas.utils.code_hash import code_hash
from optnas.utils.inputs import Inputs

Architecture = TypeVar("Architecture")
"""A frozen dataclass whose `str()` is canonical: equal strings mean equal networks."""

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
}


class SearchSpace(ABC, Generic[Architecture]):
    """A set of architectures, defined by a function that draws one through an Optuna trial.

    `suggest` is the only definition of the space: called with a finished trial or with
    `optuna.trial.FixedTrial(params)` it decodes that trial, so there is no decoder beside it.
    Parameter names are paths (`layer2.kernel_size`) and stay the same between versions.
    """

    @property
    @abstractmethod
    def example_inputs(self) -> Inputs:
        """One batch element, with the batch dimension (of size 1) first."""

    @abstractmethod
    def suggest(self, trial: BaseTrial) -> Architecture:
        """Draws an architecture through `trial.suggest_*`."""

    @abstractmethod
    def build(self, architecture: Architecture) -> nn.Module:
        """Makes the network of an architecture, with fresh weights."""

    @property
    def fingerprint(self) -> str:
        """Tells this space from others; a study is resumed only with an equal one."""
        return repr(self)

    @property
    def code(self) -> str:
        """A hash of a person's own code that defines the space; empty for optnas's own spaces."""
        return "" if type(self).__module__.startswith("optnas.") else code_hash(type(self))


def random_example(*shape: int) -> Tensor:
    """A standard normal tensor of shape `(1, *shape)`, the same at every call."""
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
