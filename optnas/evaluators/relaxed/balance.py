"""Adds the gradients of all that is minimised (part of `relaxed`)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

MEMORY = 0.95
"""Share of a running mean that stays in a step."""

Gradient = list[Tensor | None]
"""The gradient of each tensor that is learned; None stands for 0."""


class Balance:
    """Weighs gradients at their usual lengths.

    Without that, the logarithm of a cost would outweigh any loss, whose differences are small.

    Attributes:
        lengths: The running mean of each gradient's length.
    """

    def __init__(self) -> None:
        self.lengths: list[float] = []

    def added(self, preference: Sequence[float], gradients: Sequence[Gradient]) -> Gradient:
        """The sum of gradients, each divided by its usual length and weighed.

        Args:
            preference: The weights.
            gradients: That of the loss, and those of the costs.
        """
        lengths = [_length(gradient) for gradient in gradients]
        self.lengths = self.lengths or list(lengths)
        pairs = zip(self.lengths, lengths, strict=True)
        self.lengths = [MEMORY * old + (1 - MEMORY) * new for old, new in pairs]
        scales = [w / max(n, 1e-12) for w, n in zip(preference, self.lengths, strict=True)]
        return weighted_sums(gradients, scales)


def weighted_sums(gradients: Sequence[Gradient], weights: Sequence[float]) -> Gradient:
    """The weighted sum of gradients."""
    found: Gradient = []
    for parts in zip(*gradients, strict=True):
        some = [w * part for w, part in zip(weights, parts, strict=True) if part is not None]
        found.append(sum(some[1:], some[0]) if some else None)
    return found


def _length(gradient: Gradient) -> float:
    """The Euclidean norm of a gradient."""
    return math.sqrt(sum(float(part.square().sum()) for part in gradient if part is not None))
