"""Tracing: from a network's Python code to a program of its operations."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from inspect import Parameter, Signature
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from optnas.errors import NetworkError
from optnas.utils.inputs import Inputs, in_order
from optnas.utils.network import Network, first_line, traced_batch
from optnas.utils.onnx_file import without_remarks
from optnas.utils.signature import named_inputs, only_tensors

WEIGHTS_ALONE = '`format="safetensors"` needs only its weights'


class OnlyTensors(nn.Module):
    """A network without those of its outputs that no file can have.

    Its signature names the inputs one by one, so networks whose own says nothing (`forward(*args)`,
    `DataParallel`, compiled ones) are traced like others.

    Args:
        network: The network.
        inputs: One batch element.
    """

    def __init__(self, network: nn.Module, inputs: Inputs) -> None:
        super().__init__()
        self.network = network

        def forward(*args: Any, **kwargs: Any) -> Any:
            return only_tensors(self.network(*args, **kwargs))

        by_name = isinstance(inputs, Mapping)
        kind = Parameter.KEYWORD_ONLY if by_name else Parameter.POSITIONAL_OR_KEYWORD
        parameters = [Parameter(name, kind) for name in named_inputs(inputs)]
        forward.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        self.forward = forward


def trace(network: Network) -> ExportedProgram:
    """The program of a network, for its batch size or for any.

    Raises:
        NetworkError: PyTorch can't trace the network's code.
    """
    try:
        return _trace(network)
    except Exception as error:
        if network.dynamic:
            with suppress(Exception):
                return _trace(network, bounded=True)
        any_size = network.batch_size is None
        what = "for batches of any size" if any_size else f"for batches of {network.batch_size}"
        raise NetworkError(
            f"this network's code can't be traced {what} ({first_line(error)}): "
            f"{_way_out(network, error)}"
        ) from error


def _trace(network: Network, *, bounded: bool = False) -> ExportedProgram:
    batch, shapes = traced_batch(network, bounded=bounded)
    named = dict(batch) if isinstance(batch, Mapping) else None
    with without_remarks():
        return torch.export.export(
            OnlyTensors(network.model, network.inputs).eval(),
            () if named else in_order(batch),
            named,
            dynamic_shapes=shapes,
            strict=False,
        )


def _way_out(network: Network, error: Exception) -> str:
    """What to do about a network that can't be traced."""
    if any(isinstance(module, torch.jit.ScriptModule) for module in network.model.modules()):
        return f"it contains a ScriptModule; use the module it was made from, or {WEIGHTS_ALONE}"
    if network.batch_size is None and _can_be_traced(replace(network, batch_size=1)):
        return "`batch_size=1` fixes it"
    advice = []
    if network.dynamic and _can_be_traced(replace(network, dynamic={})):
        return "without `dynamic=` it can be"
    if "cache" in str(error).lower():
        advice.append("switch its cache off where you make it (use_cache=False in transformers)")
    if "data-dependent" in str(error) or "data dependent" in str(error):
        advice.append(
            "its code branches on the values of tensors, for which torch.where or torch.cond can "
            "stand"
        )
    return ", or ".join([*advice, WEIGHTS_ALONE])


def _can_be_traced(network: Network) -> bool:
    try:
        _trace(network)
    except Exception:
        return False
    return True
