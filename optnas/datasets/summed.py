"""Losses and scores that are computed from sums.

So batches are added up and not averaged, and the outputs of a whole validation part needn't be in
memory at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class Summed(ABC):
    """A loss or a score that is a function of sums over examples, pixels or tokens."""

    @abstractmethod
    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """What is added up over batches: a tensor whose shape doesn't depend on their sizes.

        Raises:
            InputError: Outputs and targets don't fit together.
        """

    @abstractmethod
    def of(self, sums: Tensor) -> Tensor:
        """The value for these sums, a tensor of one element; a score of nothing is NaN."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The value for some examples."""
        return self.of(self.sums(outputs, targets))
