"""The inputs of a model: one tensor, several by position, or several by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

Inputs = Tensor | tuple[Tensor, ...] | Mapping[str, Tensor]
"""A tensor, or tensors by position, or tensors by name."""


def in_order(inputs: Inputs) -> tuple[Tensor, ...]:
    """The tensors of `inputs`, by position."""
    if isinstance(inputs, Tensor):
        return (inputs,)
    return tuple(inputs.values() if isinstance(inputs, Mapping) else inputs)


def call(model: Callable[..., Any], inputs: Inputs) -> Any:
    """Calls the model with `inputs`, whichever of the three forms they have."""
    if isinstance(inputs, Tensor):
        return model(inputs)
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs)


def batch_of(inputs: Inputs, size: int) -> Inputs:
    """A batch of `size` equal examples, from one batch element."""
    return map_inputs(lambda tensor: tensor.repeat_interleave(size, dim=0), inputs)


def map_inputs(fn: Callable[[Tensor], Tensor], inputs: Inputs) -> Inputs:
    """Applies `fn` to each tensor of `inputs`."""
    if isinstance(inputs, Tensor):
        return fn(inputs)
    if isinstance(inputs, Mapping):
        return {name: fn(tensor) for name, tensor in inputs.items()}
    return tuple(fn(tensor) for tensor in inputs)
