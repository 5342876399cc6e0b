"""Short names of layers: the operation and its size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.dropout import _DropoutNd

from optnas.search_spaces.cell.operations import FactorizedReduction
from optnas.search_spaces.mobile.layers import SqueezeExcitation
from optnas.search_spaces.transformer.modules import Attention

_BRIEF = {"BatchNorm": "BN", "InstanceNorm": "IN", "LayerNorm": "LN", "GroupNorm": "GN"}


def is_small(module: nn.Module) -> bool:
    """Whether a layer is drawn as part of another: normalisation, activation, dropout, Flatten."""
    home = type(module).__module__
    if home == "torch.nn.modules.activation" or "norm" in type(module).__name__.lower():
        return not isinstance(module, nn.MultiheadAttention)
    if any(isinstance(module, kind) for kind, _ in _WORDS) or home == "torch.nn.modules.pooling":
        return False
    return next(module.parameters(), None) is None


def small_name(module: nn.Module) -> str:
    """The short name of a small layer."""
    name = type(module).__name__.strip("_")
    if isinstance(module, nn.Identity):
        return "skip"
    if isinstance(module, _DropoutNd):
        return f"dropout {module.p:g}"
    return next((brief for whole, brief in _BRIEF.items() if name.startswith(whole)), name)


def described(module: nn.Module) -> tuple[str, str]:
    """A layer's kind (see `Block`), and its operation with its size."""
    for cls, words in _WORDS:
        if isinstance(module, cls):
            return words(module)
    if type(module).__module__ == "torch.nn.modules.pooling":
        return "pool", _pool(module)
    if isinstance(module, nn.Identity):
        return "other", "skip"
    return "other", type(module).__name__.strip("_")


def _conv(module: Any) -> tuple[str, str]:
    size = "×".join(map(str, module.kernel_size))
    name = "transposed conv" if isinstance(module, _ConvTransposeNd) else "conv"
    depthwise = 1 < module.groups == module.in_channels
    words = [f"depthwise {name}" if depthwise else name, size]
    if max(module.stride) > 1:
        words.append(f"/{max(module.stride)}")
    if max(module.dilation) > 1:
        words.append(f"dilated {max(module.dilation)}")
    if module.groups > 1 and not depthwise:
        words.append(f"in {module.groups} groups")
    return "depthwise conv" if depthwise else "conv", " ".join(words)


def _pool(module: Any) -> str:
    name = type(module).__name__
    kind = next((k for k in ("Max", "Avg", "LP") if k in name), "")
    word = {"Max": "max pool", "Avg": "avg pool", "LP": "LP pool"}.get(kind, name)
    size = getattr(module, "output_size", None) or getattr(module, "kernel_size", "")
    sizes = [str(size)] if not isinstance(size, tuple) else [str(s) for s in size]
    if name.startswith("Adaptive"):
        whole = set(sizes) == {"1"}
        return f"global {word}" if whole else f"{word} to {'×'.join(sizes)}"
    return f"{word} {'×'.join(sizes)}"


def _linear(module: Any) -> tuple[str, str]:
    return "linear", f"linear {module.out_features}"


def _attention(module: Any) -> tuple[str, str]:
    keys = getattr(module, "num_keys", module.num_heads)
    shared = f"/{keys}" if keys < module.num_heads else ""
    return "attention", f"attention {module.num_heads}{shared} heads"


def _recurrent(module: Any) -> tuple[str, str]:
    name = type(module).__name__
    size = getattr(module, "hidden_size", "")
    layers = getattr(module, "num_layers", 1)
    both = " both ways" if getattr(module, "bidirectional", False) else ""
    return "recurrent", f"{name} {size}{f' × {layers}' if layers > 1 else ''}{both}"


def _squeeze(module: Any) -> tuple[str, str]:
    return "attention", f"squeeze-excitation {module.squeeze.out_channels}"


def _factorized(module: Any) -> tuple[str, str]:
    return "conv", "factorized conv 1×1 /2"


def _embedding(module: Any) -> tuple[str, str]:
    return "embedding", f"embedding {module.num_embeddings}"


_WORDS: tuple[tuple[type[nn.Module], Callable[[Any], tuple[str, str]]], ...] = (
    (_ConvNd, _conv),
    (nn.Linear, _linear),
    (nn.MultiheadAttention, _attention),
    (Attention, _attention),
    (SqueezeExcitation, _squeeze),
    (FactorizedReduction, _factorized),
    (nn.RNNBase, _recurrent),
    (nn.RNNCellBase, _recurrent),
    (nn.Embedding, _embedding),
    (nn.EmbeddingBag, _embedding),
)
