"""How large perceptrons may be for the number of examples that they learn from."""

from __future__ import annotations

import math

SMALLEST, LARGEST = 16, 512
"""The limits of the greatest width."""


def widest_for(rows: int) -> int:
    """The greatest width for a number of training examples: the power of two next to 2·√n.

    Source: Huang, Learning capability and storage capacity of two-hidden-layer feedforward
    networks, IEEE Transactions on Neural Networks 14 (2003): 2·√((m + 2)·n) hidden units with m
    outputs can learn any n examples. A layer of 2·√n already holds a good part of that, so wider
    ones are rather slower than better. It is kept from 16 to 512.
    """
    power = 1 << round(math.log2(2 * math.sqrt(max(rows, 1))))
    return min(LARGEST, max(SMALLEST, power))


def deepest_for(rows: int) -> int:
    """The greatest number of layers: 2 below 1,000 examples, 4 below 10,000, else 6."""
    return 2 if rows < 1_000 else 4 if rows < 10_000 else 6
