"""A network to write to a file, and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from rich.text import Text
from torch import Tensor, nn
from torch.export import Dim

from optnas.utils.inputs import Inputs, batch_of, call
from optnas.utils.signature import named_inputs, named_outputs

Run = Callable[[Inputs], dict[str, Tensor]]
"""Runs a network on a batch and returns all its outputs, by name and in order."""


@dataclass(frozen=True)
class Network:
    """A trained network to write.

    Attributes:
        model: The network, in evaluation mode, on the CPU.
        inputs: One batch element.
        batch_size: The only batch size that the file will accept; None for any.
        dynamic: Further dimensions that may have any size: names of dimensions by their number, by
            the input's name.
    """

    model: nn.Module
    inputs: Inputs
    batch_size: int | None = None
    dynamic: Mapping[str, Mapping[int, str]] = field(default_factory=dict)


def runner(model: Callable[..., Any]) -> Run:
    """Runs a PyTorch model, without gradients."""
    return lambda inputs: named_outputs(outputs_of(model, inputs))


def outputs_of(model: Callable[..., Any], inputs: Inputs) -> Any:
    """What a PyTorch model returns, without gradients."""
    with torch.no_grad():
        return call(model, inputs)


def first_line(error: Exception) -> str:
    """The type of an error and the first line of its message, without codes for colours."""
    message = Text.from_ansi(str(error)).plain
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def traced_batch(network: Network, *, bounded: bool = False) -> tuple[Inputs, Any]:
    """A batch to trace with, and the dimensions that may change (`dynamic_shapes`).

    Args:
        network: The network.
        bounded: Whether dimensions other than the batch are at most as large as in the batch: a
            table of positions, say, ends somewhere.
    """
    # Two examples stand for any number: PyTorch takes a dimension of 1 as fixed.
    batch = batch_of(network.inputs, network.batch_size or 2)
    if network.batch_size is not None and not network.dynamic:
        return batch, None
    dims: dict[str, Any] = {"batch": Dim("batch", min=1)}
    shapes = {}
    for name, tensor in named_inputs(network.inputs).items():
        varies = {} if network.batch_size is not None or not tensor.ndim else {0: dims["batch"]}
        for number, called in network.dynamic.get(name, {}).items():
            most = tensor.shape[number] if bounded else None
            varies[number] = dims.setdefault(called, Dim(called, min=1, max=most))
        shapes[name] = varies
    return batch, shapes
