"""A candidate: one architecture under evaluation."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from optnas.errors import InputError

Inputs = Tensor | tuple[Tensor, ...] | Mapping[str, Tensor]
"""What a model is called with: a tensor, or tensors by position, or tensors by name."""


def call(model: nn.Module, inputs: Inputs) -> Any:
    """Calls the model with `inputs`, whichever of the three forms they have."""
    if isinstance(inputs, Tensor):
        return model(inputs)
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs)


def map_inputs(fn: Callable[[Tensor], Tensor], inputs: Inputs) -> Inputs:
    """Applies `fn` to each tensor of `inputs`."""
    if isinstance(inputs, Tensor):
        return fn(inputs)
    if isinstance(inputs, Mapping):
        return {name: fn(tensor) for name, tensor in inputs.items()}
    return tuple(fn(tensor) for tensor in inputs)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Runs a block under a seed of its own (torch on every device, NumPy, random).

    The states of all these generators are put back afterwards.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


class Candidate:
    """One architecture under evaluation: the architecture, example inputs and its model.

    Args:
        architecture: What `SearchSpace.suggest` returned; `str()` of it is canonical.
        example_inputs: One batch element, with the batch dimension (of size 1) first.
        build: Makes the model; called once, at the first use of `model`.
        seed: Seeds the model's initial weights, and whatever training draws.
    """

    def __init__(
        self,
        architecture: object,
        example_inputs: Inputs,
        build: Callable[[], nn.Module],
        seed: int = 0,
    ) -> None:
        self.architecture = architecture
        self.example_inputs = example_inputs
        self.seed = seed
        self.details: dict[str, Any] = {}
        """Further facts, by the name they belong to; they end as user attributes of the trial."""
        self._build = build

    @cached_property
    def model(self) -> nn.Module:
        """The network, on the CPU with its initial weights until an evaluator trains it."""
        with seeded(self.seed):
            model = self._build()
        if not isinstance(model, nn.Module):
            raise InputError(
                f"the network of {self} must be a torch.nn.Module, got {type(model).__name__}"
            )
        return model

    def __str__(self) -> str:
        return str(self.architecture)
