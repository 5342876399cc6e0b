"""Tracing: from a network's Python code to a program of its operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from optnas.errors import InputError
from optnas.export.base import Network, first_line
from optnas.utils.inputs import Inputs, batch_of, in_order
from optnas.utils.onnx_file import without_remarks


def trace(network: Network) -> ExportedProgram:
    """The program of a network, for its batch size or for any.

    Raises:
        InputError: PyTorch can't trace the network's code.
    """
    batch, shapes = traced_batch(network)
    named = dict(batch) if isinstance(batch, Mapping) else None
    try:
        with without_remarks():
            return torch.export.export(
                network.model,
                () if named else in_order(batch),
                named,
                dynamic_shapes=shapes,
                strict=False,
            )
    except Exception as error:
        what, do = (
            ("for batches of any size", "--batch-size 1 fixes it")
            if network.batch_size is None
            else (
                f"for batches of {network.batch_size}",
                "--format safetensors needs only its weights",
            )
        )
        raise InputError(
            f"this network's code can't be traced {what} ({first_line(error)}): {do}"
        ) from error


def traced_batch(network: Network) -> tuple[Inputs, Any]:
    """A batch to trace with, and the dimensions that may change (`dynamic_shapes`)."""
    # Two examples stand for any number: PyTorch takes a dimension of 1 as fixed.
    batch = batch_of(network.inputs, network.batch_size or 2)
    if network.batch_size is not None:
        return batch, None
    any_size = {0: Dim("batch", min=1)}
    shapes = [any_size if tensor.ndim else None for tensor in in_order(batch)]
    if isinstance(network.inputs, Mapping):
        return batch, dict(zip(network.inputs, shapes, strict=True))
    return batch, tuple(shapes)
