"""The weights of the choices of a relaxed network.

Sources: Liu, Simonyan and Yang, DARTS: differentiable architecture search, ICLR 2019 (arXiv
1806.09055), whose network computes all operations of a choice, weighted by the softmax of its
logits; Dong and Yang, Searching for a robust neural architecture in four GPU hours (GDAS), CVPR
2019 (arXiv 1910.04465), whose weights are straight-through Gumbel samples: one operation counts in
a pass. There the others aren't run at all; here they are run forwards where the logits learn, so
that each logit knows what its operation would change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn


class Mixture:
    """The weights of all choices of a relaxed network in the present pass.

    A choice has one set of weights in a pass, in however many places it stands.
    """

    def __init__(self) -> None:
        self.set(lambda name, count: torch.zeros(count), uniform)

    def set(self, logits: Callable[[str, int], Tensor], weigh: Callable[[Tensor], Tensor]) -> None:
        """Begins another pass.

        Args:
            logits: Those of a choice, by its name and its number of options, of shape `(options,)`.
            weigh: Makes weights of logits.
        """
        self._logits_of, self._weigh = logits, weigh
        self._logits: dict[tuple[str, int], Tensor] = {}
        self._weights: dict[tuple[str, int], tuple[Tensor, list[float]]] = {}

    def logits(self, name: str, count: int) -> Tensor:
        """The logits of a choice."""
        key = name, count
        if key not in self._logits:
            self._logits[key] = self._logits_of(name, count)
        return self._logits[key]

    def weights(self, name: str, count: int) -> tuple[Tensor, list[float]]:
        """The weights of a choice, and their values; what has the value 0 adds nothing."""
        key = name, count
        if key not in self._weights:
            weights = self._weigh(self.logits(name, count))
            self._weights[key] = weights, weights.tolist()
        return self._weights[key]

    def probabilities(self, name: str, count: int) -> Tensor:
        """The softmax of the logits, whatever the weights are."""
        return self.logits(name, count).softmax(0)

    def __deepcopy__(self, memo: object) -> Self:
        return self  # copies of a network are run in the same pass


def uniform(logits: Tensor) -> Tensor:
    """Equal weights: every operation is run."""
    return torch.full_like(logits, 1 / len(logits)).detach()


def softmax(logits: Tensor) -> Tensor:
    """The softmax: every operation is run (DARTS)."""
    return logits.softmax(0)


def argmax(logits: Tensor) -> Tensor:
    """The discretised choice: the likeliest operation alone."""
    return nn.functional.one_hot(logits.argmax(), len(logits)).to(logits.dtype)


def gumbel(temperature: float) -> Callable[[Tensor], Tensor]:
    """Straight-through samples: one operation counts, with the gradient of a softmax (GDAS).

    Args:
        temperature: That of the softmax over logits and Gumbel noise.
    """

    def weigh(logits: Tensor) -> Tensor:
        noise = -torch.empty(logits.shape).exponential_().log().to(logits.device)
        soft = ((logits + noise) / temperature).softmax(0)
        return argmax(soft.detach()) + soft - soft.detach()

    return weigh
