"""What models return: a tensor, or tensors in tuples, dictionaries and registered classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten


def in_float32(outputs: Any) -> Any:
    """The outputs with floating-point tensors in float32, for losses and scores."""
    if isinstance(outputs, Tensor):
        return outputs.float()
    return tree_map(
        lambda leaf: (
            leaf.float() if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf
        ),
        outputs,
    )


def joined(batches: Sequence[Any]) -> Any:
    """The outputs of several batches as those of one; of what has no batch dimension, the last."""
    if isinstance(batches[0], Tensor):
        return torch.cat(list(batches))
    leaves, forms = zip(*map(tree_flatten, batches), strict=True)
    return tree_unflatten([_joined(parts) for parts in zip(*leaves, strict=True)], forms[-1])


def _joined(parts: Sequence[Any]) -> Any:
    batched = all(isinstance(part, Tensor) and part.ndim for part in parts)
    return torch.cat(list(parts)) if batched else parts[-1]
