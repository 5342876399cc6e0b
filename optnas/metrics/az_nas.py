"""Expressivity, progressivity and trainability: what the blocks of an untrained network do.

Source: Lee and Ham, AZ-NAS: Assembling zero-cost proxies for network architecture search, CVPR 2024
(arXiv 2403.19232), section 3, which defines them for blocks that are named by hand.

What differs: blocks are found in any network (`optnas.metrics.blocks`); a block that hands on its
input is none, where the authors' code gives such a network the worst trainability; nothing is added
to keep a logarithm or a reciprocal finite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


def expressivity(blocks: Sequence[Tensor]) -> float:
    """How evenly the blocks' outputs spread over the directions of their spaces, in nats.

    Σ_l s_l, where s_l = -Σ_i p_i ln p_i, and p_i is the share of the i-th eigenvalue in the
    trace of the covariance of block l's channels, over all examples and positions. So s_l is
    between 0 and the logarithm of the number of channels; with fewer examples and positions than
    channels, it is at most the logarithm of that number.

    Args:
        blocks: From `block_outputs`.

    Returns:
        NaN without a block, or if the output of one is constant.
    """
    return sum(map(_entropy, blocks)) if blocks else math.nan


def progressivity(blocks: Sequence[Tensor]) -> float:
    """The smallest growth of s_l (see `expressivity`) from a block to the next, in nats.

    min_l (s_l - s_{l-1}).

    Args:
        blocks: From `block_outputs`.

    Returns:
        NaN with fewer than two blocks, or if the output of one is constant.
    """
    entropies = [_entropy(block) for block in blocks]
    steps = [later - earlier for earlier, later in pairwise(entropies)]
    return min(steps) if steps and not any(map(math.isnan, steps)) else math.nan


def trainability(blocks: Sequence[Tensor]) -> float:
    """How well gradients keep their size from block to block, 0 at best and negative else.

    The mean over l of 2 - σ_l - 1/σ_l, where σ_l is the spectral norm of block l's Jacobian as
    gradients see it: of E[g_{l-1} g_lᵀ], the mean over examples and positions, where g_l is -1 or 1
    at random in each element, and g_{l-1} is its product with the transposed Jacobian of block l.
    Where an image is smaller after a block, neighbouring positions before it count as channels.

    Args:
        blocks: From `block_outputs`. The draws are PyTorch's.

    Returns:
        NaN if no gradient leads from any block to the one before it; -inf if one of them is 0.
    """
    found = []
    for before, after in pairwise(blocks):
        drawn = torch.randint(0, 2, after.shape).to(after.dtype) * 2 - 1
        (back,) = torch.autograd.grad(after, before, drawn, retain_graph=True, allow_unused=True)
        if back is not None:
            sigma = _spectral_norm(*_on_one_grid(back, drawn))
            found.append(2 - sigma - 1 / sigma if sigma else -math.inf)
    return sum(found) / len(found) if found else math.nan


def _entropy(block: Tensor) -> float:
    rows = block.detach().flatten(0, -2).double()
    rows = rows - rows.mean(dim=0)
    gram = rows.T @ rows if rows.shape[0] >= rows.shape[1] else rows @ rows.T
    eigenvalues = torch.linalg.eigvalsh(gram).clamp_min(0)
    return float(torch.special.entr(eigenvalues / eigenvalues.sum()).sum())


def _spectral_norm(before: Tensor, after: Tensor) -> float:
    """The largest singular value of beforeᵀ · after / rows; both have a row for each position."""
    rows = len(before)
    left, right = (
        torch.linalg.qr(t.T, mode="r").R.T if t.shape[1] > rows else t for t in (before, after)
    )
    return float(torch.linalg.matrix_norm(left.T @ right / rows, 2))


def _on_one_grid(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """Both as a row for each example and position of a grid that both fit in, in double precision.

    Where one has several positions in a place of the grid, they count as channels; those that lie
    beyond its end have gradient 0. Without as many dimensions, an example is one place.
    """
    grid: list[int] = []
    if before.ndim == after.ndim:
        grid = [min(sizes) for sizes in zip(before.shape[1:-1], after.shape[1:-1], strict=True)]
    return _on_grid(before, grid), _on_grid(after, grid)


def _on_grid(tensor: Tensor, grid: Sequence[int]) -> Tensor:
    examples, *positions, channels = tensor.shape
    rows = tensor.double()
    if not grid:
        return rows.reshape(examples, -1)
    each = [-(-size // places) for size, places in zip(positions, grid, strict=True)]
    padding = [0, 0]
    for size, places, in_one in zip(positions[::-1], grid[::-1], each[::-1], strict=True):
        padding += [0, places * in_one - size]
    shape = [n for pair in zip(grid, each, strict=True) for n in pair]
    rows = nn.functional.pad(rows, padding).reshape(examples, *shape, channels)
    last = rows.ndim - 1
    rows = rows.permute(0, *range(1, last, 2), *range(2, last, 2), last)
    return rows.reshape(examples * math.prod(grid), -1)
