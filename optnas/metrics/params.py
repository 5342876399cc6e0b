"""The number of parameters, and what they take in a file."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from optnas.candidate import Candidate
from optnas.metrics.base import Metric


def count_params(model: nn.Module) -> int:
    """Elements of all parameters, wherever they are held; tied ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())


class Params(Metric):
    """Elements of all parameters: tied ones count once, buffers don't count."""

    effort: ClassVar[int] = 0

    @property
    def name(self) -> str:
        """`params`."""
        return "params"

    def measure(self, candidate: Candidate) -> float:
        """Counts the elements of `model.parameters()`, which lists tied ones once."""
        return float(count_params(candidate.model))


class ModelSize(Metric):
    """Size of the weights in 10⁶ bytes: parameters and buffers, tied ones once."""

    effort: ClassVar[int] = 0

    @property
    def name(self) -> str:
        """`model_size_mb`."""
        return "model_size_mb"

    def measure(self, candidate: Candidate) -> float:
        """Adds up the bytes of all parameters and buffers, in the types that they have."""
        model = candidate.model
        return (
            sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers())) / 1e6
        )
