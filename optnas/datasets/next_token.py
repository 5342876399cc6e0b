"""The loss and the score of networks that predict the next token."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from optnas.datasets.class_numbers import UNCOUNTED, is_counted, summed_cross_entropy
from optnas.datasets.logits import logits_of
from optnas.datasets.summed import Summed
from optnas.errors import InputError


@dataclass(frozen=True)
class TokenCrossEntropy(Summed):
    """Mean cross-entropy of the next token, in nats a token.

    Outputs are logits of shape `(n, length, tokens)`, targets the next tokens, shape `(n, length)`;
    a negative one isn't counted.

    Attributes:
        tokens: The least number of outputs at a position.
    """

    tokens: int = 2

    def sums(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """The sum of the cross-entropies, and the number of tokens.

        Args:
            outputs: Logits.
            targets: The next tokens.
            label_smoothing: Share of the target that all tokens share equally.

        Raises:
            InputError: The shapes don't fit, the targets are no whole numbers, or one is no token.
        """
        logits = logits_of(outputs)
        if logits.ndim < 2 or logits.shape[-1] < self.tokens:
            raise InputError(
                f"the model returns shape {tuple(logits.shape)} for {self.tokens} tokens: give its "
                "last dimension one output a token"
            )
        if targets.is_floating_point() or logits.shape[:-1] != targets.shape:
            raise InputError(
                f"the next tokens must be whole numbers of shape {tuple(logits.shape[:-1])}, for "
                f"outputs of shape {tuple(logits.shape)}; got {targets.dtype} of shape "
                f"{tuple(targets.shape)}: "
                + (
                    "give y.long()"
                    if logits.shape[:-1] == targets.shape
                    else "let the model return logits for each position"
                )
            )
        targets = targets.long()
        targets = targets.where(is_counted(targets), UNCOUNTED).flatten()
        total, number = summed_cross_entropy(logits.flatten(0, -2), targets, label_smoothing)
        return torch.stack((total, number.to(total)))

    def of(self, sums: Tensor) -> Tensor:
        """See `Summed`; 0 where no token is counted, so that such a batch trains nothing."""
        return sums[0] / sums[1].clamp(min=1)

    def __call__(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """The value for some examples."""
        return self.of(self.sums(outputs, targets, label_smoothing))


def perplexity(loss: float) -> float:
    """The exponential of a cross-entropy in nats; infinite where it is too large."""
    return math.exp(loss) if loss < 700 else math.inf
