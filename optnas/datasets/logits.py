"""The tensor in what a model returns, for the usual losses and scores."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from optnas.errors import InputError
from optnas.utils.inputs import described

SQUEEZED = (
    "in a batch of one example, squeeze() without a dimension takes that of the batch away, too: "
    "write squeeze(-1) or flatten(1), say, in place of it"
)
"""What is said of outputs without the batch's dimension."""


def is_squeezed(outputs: Tensor, targets: object) -> bool:
    """Whether the outputs for a batch of one example lack the batch's dimension."""
    if not isinstance(targets, Tensor) or not targets.ndim or len(targets) != 1:
        return False
    regression = outputs.shape == targets.shape[1:]
    return regression or (outputs.ndim == 1 and not targets.is_floating_point())


def logits_of(outputs: object) -> Tensor:
    """What the model returns, or the `logits` in it, as models of transformers call it.

    Raises:
        InputError: There is no such tensor.
    """
    found = outputs.get("logits") if isinstance(outputs, Mapping) else outputs
    if isinstance(found, Tensor):
        return found.float()
    raise InputError(
        f"the model returns {described(outputs)}, and the usual loss and accuracy take a tensor of "
        "shape (n, outputs), or one called logits in a dictionary: return that, or give a loss of "
        "your own that takes what the model returns (loss=lambda outputs, targets: …, "
        "accuracy=False)"
    )
