"""The number of parameters."""

from __future__ import annotations

from optnas.candidate import Candidate
from optnas.metrics.base import Metric


class Params(Metric):
    """Elements of all parameters: tied ones count once, buffers don't count."""

    @property
    def name(self) -> str:
        """`params`."""
        return "params"

    def measure(self, candidate: Candidate) -> float:
        """Counts the elements of `model.parameters()`, which lists tied ones once."""
        return float(sum(parameter.numel() for parameter in candidate.model.parameters()))
