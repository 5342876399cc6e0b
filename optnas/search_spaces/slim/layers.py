"""Where a layer's channels lie in its parameters and buffers, and its settings that count them.

One table for the kinds of layers that can have fewer channels; all others keep theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm

from optnas.search_spaces.lora.layers import is_conv1d, sizes


class Part(NamedTuple):
    """A dimension of a parameter or buffer that has an entry for each channel.

    Attributes:
        name: That of the tensor.
        dim: The dimension.
        stack: The number of matrices that are stacked along it; each has an entry for each channel.
        reads: Whether the entries are factors of a sum over the channels, as those of inputs are.
    """

    name: str
    dim: int
    stack: int = 1
    reads: bool = False


class Side(NamedTuple):
    """The channels of a layer's inputs or outputs.

    Attributes:
        size: Their number.
        parts: Where they lie.
        blocks: Channels are kept or removed in this many blocks: the groups of a convolution or
            normalisation, the heads of an attention. 0 if each can be removed alone.
    """

    size: int
    parts: tuple[Part, ...]
    blocks: int = 0


Sides = dict[str, Side]
"""By `in` and `out`; a layer whose inputs and outputs have the same channels has `both`."""


def sides_of(layer: nn.Module) -> Sides | None:
    """The channels of a layer; None of a kind that keeps its channels."""
    found = _sides(layer)
    for side in (found or {}).values():
        for part in side.parts:
            *path, last = part.name.split(".")
            owner = layer.get_submodule(".".join(path))
            if last not in owner._parameters and last not in owner._buffers:
                return None  # it is computed from other parameters
    return found


def _sides(layer: nn.Module) -> Sides | None:
    m: Any = layer
    if isinstance(m, _ConvNd):
        return _convolution(m)
    if isinstance(m, nn.Linear):
        return _matrix(m, (m.in_features, m.out_features), (1, 0))
    if is_conv1d(m):
        return _matrix(m, sizes(m), (0, 1))
    if isinstance(m, nn.Embedding) and m.max_norm is None:
        return {"out": Side(m.embedding_dim, (Part("weight", 1),))}
    if isinstance(m, nn.MultiheadAttention) and m.in_proj_weight is not None:
        return _attention(m)
    if isinstance(m, (_BatchNorm, _InstanceNorm)):
        names = ("weight", "bias", "running_mean", "running_var")
        return {"both": Side(m.num_features, _present(m, *names))}
    if isinstance(m, (nn.LayerNorm, nn.RMSNorm)) and len(m.normalized_shape) == 1:
        return {"both": Side(m.normalized_shape[0], _present(m, "weight", "bias"))}
    if isinstance(m, nn.GroupNorm):
        blocks = m.num_groups if m.num_groups > 1 else 0
        return {"both": Side(m.num_channels, _present(m, "weight", "bias"), blocks)}
    if isinstance(m, nn.PReLU) and m.num_parameters > 1:
        return {"both": Side(m.num_parameters, _present(m, "weight"))}
    return None


def _present(layer: nn.Module, *names: str, dim: int = 0) -> tuple[Part, ...]:
    return tuple(Part(name, dim) for name in names if getattr(layer, name, None) is not None)


def _matrix(layer: nn.Module, numbers: tuple[int, int], dims: tuple[int, int]) -> Sides:
    """A layer that multiplies by a matrix; the numbers and dimensions of inputs and outputs."""
    return {
        "in": Side(numbers[0], (Part("weight", dims[0], reads=True),)),
        "out": Side(numbers[1], (Part("weight", dims[1]), *_present(layer, "bias"))),
    }


def _convolution(layer: Any) -> Sides:
    numbers = layer.in_channels, layer.out_channels
    if layer.groups == 1:
        return _matrix(layer, numbers, (0, 1) if layer.transposed else (1, 0))
    # A group has rows of its own; the columns count from its first channel.
    weight, bias = (Part("weight", 0),), _present(layer, "bias")
    into, out = (weight, bias) if layer.transposed else ((), weight + bias)
    return {
        "in": Side(numbers[0], into, layer.groups),
        "out": Side(numbers[1], out, layer.groups),
    }


def _attention(layer: Any) -> Sides:
    """Embedding and heads have one width here, and so the channels of both go together."""
    parts = [
        Part("in_proj_weight", 0, stack=3),
        Part("in_proj_weight", 1, reads=True),
        *(part._replace(stack=3) for part in _present(layer, "in_proj_bias")),
        *_present(layer, "bias_k", "bias_v", dim=2),
        Part("out_proj.weight", 0),
        Part("out_proj.weight", 1, reads=True),
        *([] if layer.out_proj.bias is None else [Part("out_proj.bias", 0)]),
    ]
    return {"both": Side(layer.embed_dim, tuple(parts), layer.num_heads)}


def resize(layer: nn.Module, numbers: Mapping[str, int]) -> None:
    """Sets the settings of a layer that count its channels.

    Args:
        layer: The layer; its parameters have the new shapes.
        numbers: The new numbers of channels, by side.
    """
    m: Any = layer
    both = numbers.get("both", 0)
    if isinstance(m, _ConvNd):
        outputs = numbers.get("out", m.out_channels)
        if m.groups > 1:
            m.groups = outputs * m.groups // m.out_channels
        m.in_channels, m.out_channels = numbers.get("in", m.in_channels), outputs
    elif isinstance(m, nn.Linear):
        m.out_features, m.in_features = m.weight.shape
    elif is_conv1d(m):
        m.nx, m.nf = m.weight.shape
    elif isinstance(m, nn.Embedding):
        m.embedding_dim = numbers["out"]
    elif isinstance(m, nn.MultiheadAttention):
        m.num_heads = both // m.head_dim
        m.embed_dim = m.kdim = m.vdim = both
        m.out_proj.in_features = m.out_proj.out_features = both
    elif isinstance(m, (_BatchNorm, _InstanceNorm)):
        m.num_features = both
    elif isinstance(m, (nn.LayerNorm, nn.RMSNorm)):
        m.normalized_shape = (both,)
    elif isinstance(m, nn.GroupNorm):
        if m.num_groups > 1:
            m.num_groups = both * m.num_groups // m.num_channels
        m.num_channels = both
    elif isinstance(m, nn.PReLU):
        m.num_parameters = both
