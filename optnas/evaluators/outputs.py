"""What models return: a tensor, or tensors in containers of any form (see `utils.trees`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from optnas.datasets.logits import SQUEEZED
from optnas.errors import InputError
from optnas.utils.inputs import described
from optnas.utils.trees import map_leaves

_WAY_OUT = (
    "let the model, or `step`, return what can be joined: tensors with all examples of the batch "
    "in their first dimension (logits.flatten(0, 1) and targets.flatten() of padded sequences, "
    "say). Or let `step` return the loss alone"
)


def in_float32(outputs: Any) -> Any:
    """The outputs with floating-point tensors in float32, for losses and scores."""
    if isinstance(outputs, Tensor):
        return outputs.float()
    return map_leaves(
        lambda leaf: (
            leaf.float() if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf
        ),
        outputs,
    )


def joined(batches: Sequence[Any], rows: Sequence[int]) -> Any:
    """The outputs of several batches as those of one.

    Tensors are concatenated in their first dimension. Of numbers, tensors of floating-point type
    without dimensions, such as a loss that the model computed, there is the mean over all examples.
    Anything else stays if it is the same in all batches; else there is None in its place, so
    that nothing is computed from what belongs to one batch alone.

    Args:
        batches: The outputs of each batch, or its targets.
        rows: The number of examples in each batch.

    Raises:
        InputError: They can't be joined.
    """
    first = batches[0]
    if len(batches) == 1:
        return first
    if isinstance(first, Tensor):
        return _joined(rows, *batches)
    try:
        found = map_leaves(lambda *parts: _joined(rows, *parts), *batches)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            f"the outputs, or the targets, of two validation batches differ in form ({error}): "
            f"{_WAY_OUT}"
        ) from error
    if found is None and first is not None:
        raise InputError(f"{described(first)} can't be joined over the batches: {_WAY_OUT}")
    return found


def _joined(rows: Sequence[int], *parts: Any) -> Any:
    first = parts[0]
    if not all(isinstance(part, Tensor) for part in parts):
        same = isinstance(first, (bool, int, float, str)) and all(part == first for part in parts)
        return first if same else None
    if not first.ndim:
        if not first.is_floating_point():
            return first if all(torch.equal(part, first) for part in parts) else None
        shares = torch.tensor(rows, dtype=first.dtype, device=first.device)
        return (torch.stack(parts) * shares).sum() / shares.sum()
    try:
        return torch.cat(parts)
    except RuntimeError as error:
        if any(p.ndim < first.ndim and n == 1 for p, n in zip(parts, rows, strict=True)):
            raise InputError(
                "the outputs of a validation batch can't be joined with those of others: "
                f"{SQUEEZED}; or {_WAY_OUT}"
            ) from error
        shapes = sorted({tuple(part.shape[1:]) for part in parts}, key=str)[:2]
        raise InputError(
            "the outputs, or the targets, of two validation batches can't be joined, because "
            f"examples have the shapes {' and '.join(map(str, shapes))}: {_WAY_OUT}"
        ) from error
