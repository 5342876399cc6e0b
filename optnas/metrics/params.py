"""The numbers of parameters, and the size of the weights in a file."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from optnas.candidate import Candidate
from optnas.metrics.base import Metric


def count_params(model: nn.Module) -> int:
    """Elements of all parameters, in modules of any kind; tied parameters count once."""
    return sum(parameter.numel() for parameter in model.parameters())


class Params(Metric):
    """Number of parameter elements. Tied parameters count once; buffers don't count."""

    name = "params"
    effort: ClassVar[int] = 0
    least: ClassVar[float] = 0.0

    def measure(self, candidate: Candidate) -> float:
        """Counts the elements of `model.parameters()`."""
        return float(count_params(candidate.model))


class TrainableParams(Metric):
    """Number of elements of the parameters that are trained (`requires_grad`).

    It differs from `Params` where a part of the network is frozen, as under adapters.
    """

    name = "trainable_params"
    effort: ClassVar[int] = 0
    least: ClassVar[float] = 0.0

    def measure(self, candidate: Candidate) -> float:
        """Counts the elements of the parameters with `requires_grad`; tied ones once."""
        trained = (p for p in candidate.model.parameters() if p.requires_grad)
        return float(sum(parameter.numel() for parameter in trained))


class ModelSize(Metric):
    """Size of the weights in 10⁶ bytes: parameters and buffers; tied ones count once."""

    name = "model_size_mb"
    effort: ClassVar[int] = 0
    least: ClassVar[float] = 0.0

    def measure(self, candidate: Candidate) -> float:
        """Adds up the bytes of all parameters and buffers, in the types that they have."""
        tensors = (*candidate.model.parameters(), *candidate.model.buffers())
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors) / 1e6
