"""A candidate: one architecture under evaluation."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from optnas.errors import InputError
from optnas.utils.inputs import Inputs, call
from optnas.utils.seeds import seeded


def copy_of(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode; raises InputError for a model that can't be copied."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"the model must be a torch.nn.Module, got {model!r}")
    try:
        return copy.deepcopy(model).eval()
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"this {type(model).__name__} can't be copied, so measuring would change it "
            f"({error}); if that is torch.nn.utils.weight_norm or spectral_norm, take the one in "
            "torch.nn.utils.parametrizations"
        ) from error


def _run_once(model: nn.Module, inputs: Inputs) -> None:
    """Gives lazy modules their shapes, and leaves the others in their modes."""
    modes = {module: module.training for module in model.modules()}
    with torch.no_grad():
        call(model.eval(), inputs)
    for module, mode in modes.items():
        module.training = mode


class Candidate:
    """One architecture under evaluation: the architecture, example inputs and its model.

    Args:
        architecture: What `SearchSpace.suggest` returned; `str()` of it is canonical.
        example_inputs: One batch element, with the batch dimension (of size 1) first.
        build: Makes the model; called once, at the first use of `model`.
        seed: Seeds the model's initial weights, and whatever training draws.
        disposable: Whether the model is only made to be counted: it isn't seeded, and no metric
            copies it.
    """

    def __init__(
        self,
        architecture: object,
        example_inputs: Inputs,
        build: Callable[[], nn.Module],
        seed: int = 0,
        *,
        disposable: bool = False,
    ) -> None:
        self.architecture = architecture
        self.example_inputs = example_inputs
        self.seed = seed
        self.details: dict[str, Any] = {}
        """Further facts, by the name they belong to; they end as user attributes of the trial."""
        self.timed: dict[str, float] = {}
        """Latencies measured so far, by the settings they were measured with."""
        self._build = build
        self._disposable = disposable

    @cached_property
    def model(self) -> nn.Module:
        """The network, on the CPU with its initial weights until an evaluator trains it."""
        with nullcontext() if self._disposable else seeded(self.seed):
            return self._made()

    def untrained(self) -> nn.Module:
        """Another network of the architecture, in evaluation mode, with initial weights of its own.

        They are the same in every trial: the seed they are drawn with isn't the candidate's.
        """
        _ = self.model  # a FunctionSpace gives out the one that `suggest` made first
        with seeded(0):
            return copy_of(self._made())

    def _made(self) -> nn.Module:
        model = self._build()
        if not isinstance(model, nn.Module):
            raise InputError(
                f"the network of {self} must be a torch.nn.Module, got {type(model).__name__}"
            )
        if any(map(is_lazy, (*model.parameters(), *model.buffers()))):
            _run_once(model, self.example_inputs)
        return model

    def to_measure(self) -> nn.Module:
        """A copy of the model in evaluation mode, which a metric may run, move and convert."""
        return self.model.eval() if self._disposable else copy_of(self.model)

    def __str__(self) -> str:
        return str(self.architecture)
