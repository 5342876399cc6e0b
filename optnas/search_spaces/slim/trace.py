"""Traces a network with torch-pruning."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from optnas.errors import InputError
from optnas.search_spaces.lora.layers import is_conv1d
from optnas.search_spaces.slim.layers import sides_of
from optnas.utils.inputs import Inputs, call, shapes_noted
from optnas.utils.trees import tensors_in


class Index(NamedTuple):
    """A channel, and the one that it stems from, as torch-pruning's mappings take it."""

    idx: int
    root_idx: int


def traced(model: nn.Module, inputs: Inputs) -> tuple[Any, set[Any]]:
    """The dependency graph of torch-pruning, and the functions that gave the outputs."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch_pruning
    except ImportError as error:
        raise InputError(
            f"SlimSpace needs the extra slim: pip install 'optnas[slim]' ({error})"
        ) from error

    class Whole(torch_pruning.pruner.function.BasePruningFunc):  # type: ignore[misc]
        """A layer that torch-pruning doesn't know.

        Its functions name the layer's sides in the graph and are never called: `Slicer` cuts.
        """

        def prune_out_channels(self, layer: Any, idxs: Any) -> Any:
            raise NotImplementedError

        def get_out_channels(self, layer: Any) -> int:
            sides = sides_of(layer)
            return (sides.get("out") or sides["both"]).size if sides else 0

        def get_in_channels(self, layer: Any) -> int:
            sides = sides_of(layer)
            return (sides.get("in") or sides["both"]).size if sides else 0

    class Matrix(Whole):
        def prune_in_channels(self, layer: Any, idxs: Any) -> Any:
            raise NotImplementedError

    class Each(Whole):
        prune_in_channels = Whole.prune_out_channels

    own = {type(m): Matrix() for m in model.modules() if is_conv1d(m)}
    own |= {type(m): Each() for m in model.modules() if isinstance(m, nn.RMSNorm)}
    with shapes_noted(inputs):
        call(model, inputs)
    graph = torch_pruning.DependencyGraph()
    returned: list[Any] = []

    def differentiable(outputs: Any) -> list[Tensor]:
        found = [tensor for tensor in tensors_in(outputs) if tensor.grad_fn is not None]
        returned.extend(tensor.grad_fn for tensor in found)
        return found

    try:
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph.build_dependency(
                model,
                inputs,
                forward_fn=call,
                output_transform=differentiable,
                customized_pruners=own,
                verbose=False,
            )
            _map_splits(graph)
    except Exception as error:
        raise InputError(
            f"torch-pruning can't trace this {type(model).__name__} "
            f"({type(error).__name__}: {error}), and so which of its channels belong together "
            "isn't known: SlimSpace can't be used with it"
        ) from error
    if not returned:
        raise InputError(
            f"the outputs of this {type(model).__name__} have no gradient, and torch-pruning "
            "traces a network by it: leave `detach` and `torch.no_grad` out of its forward"
        )
    return graph, set(returned)


def _map_splits(graph: Any) -> None:
    """Splits of the last dimension, as of queries, keys and values: torch-pruning knows the second.

    A part's channels are those of the whole, shifted.
    """
    for node in list(graph.module2node.values()):
        if type(node.module).__name__ != "_SplitOp" or len(node.inputs) != 1:
            continue
        function = node.grad_fn
        shape: tuple[int, ...] = getattr(function, "_saved_self_sym_sizes", ())
        dim = getattr(function, "_saved_dim", 1)
        if dim == 1 or len(shape) < 3 or dim not in (len(shape) - 1, 2**64 - 1):
            continue
        sizes = getattr(function, "_saved_split_sizes", None)
        size = getattr(function, "_saved_split_size", 0)
        sizes = sizes or [min(size, shape[-1] - at) for at in range(0, shape[-1], size)]
        starts = np.cumsum([0, *sizes])
        for out, start, length in zip(node.outputs, starts, sizes, strict=False):
            _shift(node, out, -int(start), length)
            _shift(out, node, int(start), shape[-1])


def _shift(source: Any, target: Any, by: int, size: int) -> None:
    """Shifts the channels along the first edge that has no mapping yet."""

    def mapping(channels: list[Index]) -> list[Index]:
        return [Index(i + by, root) for i, root in channels if 0 <= i + by < size]

    for edge in source.dependencies:
        if edge.target is target and edge.index_mapping[0] is None:
            edge.index_mapping[0] = mapping
            return
