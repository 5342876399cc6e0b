"""What a model is called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

Inputs = Tensor | tuple[Tensor, ...] | Mapping[str, Tensor]
"""What a model is called with: a tensor, or tensors by position, or tensors by name."""


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


def map_inputs(fn: Callable[[Tensor], Tensor], inputs: Inputs) -> Inputs:
    """Applies `fn` to each tensor of `inputs`."""
    if isinstance(inputs, Tensor):
        return fn(inputs)
    if isinstance(inputs, Mapping):
        return {name: fn(tensor) for name, tensor in inputs.items()}
    return tuple(fn(tensor) for tensor in inputs)
