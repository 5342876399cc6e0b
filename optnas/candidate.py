"""A candidate: one architecture under evaluation."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, is_lazy

from optnas.errors import InputError
from optnas.utils.inputs import Inputs, call, copied, described
from optnas.utils.random_state import seeded


def copy_of(model: nn.Module) -> nn.Module:
    """A copy of a model, in evaluation mode.

    Raises:
        TypeError: It is no `torch.nn.Module`.
        InputError: It can't be copied.
    """
    if not isinstance(model, nn.Module):
        weights = isinstance(model, Mapping) and any(isinstance(x, Tensor) for x in model.values())
        raise TypeError(
            f"the model must be a torch.nn.Module, got {described(model)}"
            + (": load these weights into their network first" if weights else "")
        )
    # PyTorch can't copy a lazy buffer, such as those of a LazyBatchNorm2d.
    lazy_buffer: Any = UninitializedBuffer
    lazy = {
        id(b): lazy_buffer(device=b.device, dtype=b.dtype) for b in model.buffers() if is_lazy(b)
    }
    try:
        return copy.deepcopy(model, lazy).eval()
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"this {type(model).__name__} can't be copied, so measuring would change it "
            f"({error}); if that is torch.nn.utils.weight_norm or spectral_norm, take the one in "
            "torch.nn.utils.parametrizations"
        ) from error


def materialize(model: nn.Module, inputs: Inputs) -> None:
    """Gives lazy modules their shapes, if there are any; all modules keep their modes."""
    if not any(map(is_lazy, (*model.parameters(), *model.buffers()))):
        return
    modes = {module: module.training for module in model.modules()}
    with torch.no_grad():
        call(model.eval(), copied(inputs))
    for module, mode in modes.items():
        module.training = mode


class Candidate:
    """One architecture under evaluation: the architecture, example inputs and its model.

    Example:
        ```python
        import torch
        from optnas.candidate import Candidate

        candidate = Candidate("linear", torch.zeros(1, 4), lambda: torch.nn.Linear(4, 2))
        candidate.model(candidate.example_inputs).shape  # torch.Size([1, 2])
        ```

    Args:
        architecture: What `SearchSpace.suggest` returned; its `str()` is canonical.
        example_inputs: One batch element: a tensor of shape `(1, ...)`, or a tuple or dictionary of
            such tensors.
        build: Builds the model; called once, at the first use of `model`.
        seed: Seeds the model's initial weights, and all that its training draws.
        disposable: Whether the model is built only to be counted: it isn't seeded, and no metric
            copies it.

    Attributes:
        architecture: As given.
        example_inputs: As given.
        seed: As given.
        details: Further facts by the name of the score or metric that they belong to. They become
            user attributes of the trial.
        timed: The latencies measured so far, by the settings they were measured with.
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
        self.timed: dict[str, float] = {}
        self._build = build
        self._disposable = disposable

    @cached_property
    def model(self) -> nn.Module:
        """The network. It has its initial weights, on the CPU, until an evaluator trains it.

        Raises:
            InputError: The architecture's code makes no `torch.nn.Module`.
        """
        with nullcontext() if self._disposable else seeded(self.seed):
            return self._made()

    def untrained(self) -> nn.Module:
        """Another network of the architecture, in evaluation mode, with new initial weights.

        They are drawn with one fixed seed, so that they are the same in every trial.
        """
        _ = self.model  # the first network that a FunctionSpace gives out has the trial's weights
        with seeded(0):
            return copy_of(self._made())

    def _made(self) -> nn.Module:
        model = self._build()
        if not isinstance(model, nn.Module):
            raise InputError(
                f"the network of {self} must be a torch.nn.Module, got {type(model).__name__}"
            )
        materialize(model, self.example_inputs)
        return model

    def to_measure(self) -> nn.Module:
        """A copy of the model in evaluation mode, for a metric to run, move and convert."""
        return self.model.eval() if self._disposable else copy_of(self.model)

    def __str__(self) -> str:
        return str(self.architecture)

    def __repr__(self) -> str:
        return f"Candidate({str(self)!r}, seed={self.seed})"
