"""The inputs of a model: a tensor, or tensors by position or by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeGuard

import torch
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


def are_inputs(value: object) -> TypeGuard[Inputs]:
    """Whether a value is a tensor, or a tuple or mapping of tensors."""
    if isinstance(value, Tensor):
        return True
    if not isinstance(value, (tuple, Mapping)) or not value:
        return False
    return all(isinstance(part, Tensor) for part in in_order(value))


def checked_inputs(given: Any) -> Inputs:
    """Example inputs in one of their three forms.

    Raises:
        InputError: They are in none, or something in them is no tensor.
    """
    inputs = tuple(given) if isinstance(given, list) else given
    if are_inputs(inputs):
        return inputs
    what = described(inputs)
    if isinstance(inputs, (tuple, Mapping)) and inputs:
        named = inputs.items() if isinstance(inputs, Mapping) else enumerate(inputs)
        name, value = next((n, v) for n, v in named if not isinstance(v, Tensor))
        what += f" whose part {name!r} is {_short(value)}"
    raise InputError(
        "example_inputs must be a tensor, or a tuple or dictionary of tensors, got "
        f"{what}: give arrays as torch.from_numpy(…), and let the model itself set what is no "
        "tensor (in the forward of a module around it, say)"
    )


def _short(value: object) -> str:
    return repr(value) if isinstance(value, (bool, int, float, str)) else described(value)


def described(value: object) -> str:
    """What a value is, for a message: the shape of a tensor, the parts of anything else."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, Mapping):
        return f"a {type(value).__name__} of {', '.join(map(str, value)) or 'nothing'}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"


def shapes_of(inputs: Inputs) -> str:
    """The shapes of the tensors, with their names where there are any."""
    if isinstance(inputs, Mapping):
        return ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in inputs.items())
    return ", ".join(str(tuple(tensor.shape)) for tensor in in_order(inputs))


@contextmanager
def shapes_noted(inputs: Inputs) -> Iterator[None]:
    """Adds the shapes of example inputs to an error of the network that is called with them."""
    try:
        yield
    except Exception as error:
        error.add_note(
            f"The network was called with example_inputs of the shapes {shapes_of(inputs)}. They "
            "are what its forward takes, as a batch of one: the first dimension is 1."
        )
        raise


def batch_of(inputs: Inputs, size: int) -> Inputs:
    """A batch of `size` equal examples, from one batch element.

    Raises:
        InputError: No such batch can be made (see `batch_shape`).
    """
    return map_inputs(lambda t: t.expand(batch_shape(t, size)).contiguous().clone(), inputs)


def is_one_example(inputs: Inputs) -> bool:
    """Whether batches of any size can be made of the inputs (see `batch_shape`)."""
    return all(tensor.ndim == 0 or len(tensor) == 1 for tensor in in_order(inputs))


def cut_to_one(inputs: Inputs) -> str:
    """How one writes the first example of a batch of inputs in this form."""
    if isinstance(inputs, Tensor):
        return "x[:1]"
    if isinstance(inputs, Mapping):
        return "{name: x[:1] for name, x in inputs.items()}"
    return "tuple(x[:1] for x in inputs)"


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


def copied(inputs: Inputs) -> Inputs:
    """A copy, for a network that may change its inputs in place."""
    return map_inputs(torch.clone, inputs)


def number_of(inputs: Inputs) -> int:
    """The number of examples in a batch."""
    return len(in_order(inputs)[0])


def split_inputs(inputs: Inputs, size: int) -> list[Inputs]:
    """Batches of `size` examples, the last one with the rest, in the form that `inputs` have."""
    if isinstance(inputs, Tensor):
        return list(inputs.split(size))
    starts = range(0, number_of(inputs), size)
    return [map_inputs(lambda t, at=at: t[at : at + size], inputs) for at in starts]  # type: ignore[misc]


def join_inputs(first: Inputs, second: Inputs) -> Inputs:
    """One batch of two that have the same form."""
    tensors = iter(in_order(second))
    return map_inputs(lambda tensor: torch.cat((tensor, next(tensors))), first)


def form_of(inputs: Inputs) -> str:
    """Types and shapes without the batch's size; names where there are any."""
    names = [f"{name}: " for name in inputs] if isinstance(inputs, Mapping) else []
    tensors = in_order(inputs)
    texts = [f"{str(t.dtype).removeprefix('torch.')} of shape (n, {_tail(t)})" for t in tensors]
    return ", ".join(a + b for a, b in zip(names or [""] * len(texts), texts, strict=True))


def _tail(tensor: Tensor) -> str:
    return ", ".join(map(str, tensor.shape[1:]))
