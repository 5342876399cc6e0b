"""The inputs of a model: a tensor, or tensors by position or by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from optnas.errors import InputError

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
    """A batch of `size` equal examples, from one batch element.

    Raises:
        InputError: No such batch can be made (see `batch_shape`).
    """
    return map_inputs(lambda t: t.expand(batch_shape(t, size)).contiguous().clone(), inputs)


def batch_shape(tensor: Tensor, size: int) -> tuple[int, ...]:
    """The shape that a tensor of one batch element has in a batch of `size` examples.

    A tensor without dimensions, such as the time step of a diffusion model, is shared by all.

    Raises:
        InputError: Its first dimension isn't a batch of one, as in a graph's lists of nodes and
            edges, and `size` isn't 1.
    """
    if tensor.ndim == 0 or size == 1:
        return tuple(tensor.shape)
    if len(tensor) != 1:
        raise InputError(
            f"a batch of {size} can't be made of an example input of shape {tuple(tensor.shape)}, "
            "whose first dimension isn't a batch of one: take batch size 1, or put several "
            "examples into it yourself"
        )
    return (size, *tensor.shape[1:])


def map_inputs(fn: Callable[[Tensor], Tensor], inputs: Inputs) -> Inputs:
    """Applies `fn` to each tensor of `inputs`, and returns them in the same form."""
    if isinstance(inputs, Tensor):
        return fn(inputs)
    if isinstance(inputs, Mapping):
        return {name: fn(tensor) for name, tensor in inputs.items()}
    return tuple(fn(tensor) for tensor in inputs)
