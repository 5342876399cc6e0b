"""The inputs of a model: a tensor, or tensors by position or by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

Inputs = Tensor | tuple[Tensor, ...] | Mapping[str, Tensor]
"""What a model is called with: a tensor, tensors by position, or tensors by argument name."""


def in_order(inputs: Inputs) -> tuple[Tensor, ...]:
    """The tensors of `inputs` as a tuple."""
    if isinstance(inputs, Tensor):
        return (inputs,)
    return tuple(inputs.values() if isinstance(inputs, Mapping) else inputs)


def call(model: Callable[..., Any], inputs: Inputs) -> Any:
    """Calls the model with `inputs` in any of their three forms."""
    if isinstance(inputs, Tensor):
        return model(inputs)
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs)


def batch_of(inputs: Inputs, size: int) -> Inputs:
    """A batch of `size` equal examples, from one batch element."""
    return map_inputs(lambda tensor: tensor.repeat_interleave(size, dim=0), inputs)


def map_inputs(fn: Callable[[Tensor], Tensor], inputs: Inputs) -> Inputs:
    """Applies `fn` to each tensor of `inputs`, and returns them in the same form."""
    if isinstance(inputs, Tensor):
        return fn(inputs)
    if isinstance(inputs, Mapping):
        return {name: fn(tensor) for name, tensor in inputs.items()}
    return tuple(fn(tensor) for tensor in inputs)
