"""The loss that a network is trained with; scores are computed with the plain one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from optnas.evaluators.recipe import Recipe

Loss = Callable[[Tensor, Tensor], Tensor]


def training_loss(loss: Loss, recipe: Recipe) -> Loss:
    """The loss of training steps.

    Args:
        loss: `loss(outputs, targets)`, a tensor of one element: a standard one if the recipe
            changes it (`check_recipe` sees to that).
        recipe: Label smoothing is taken from it.
    """
    if recipe.label_smoothing:
        cross_entropy: Callable[..., Tensor] = loss
        return partial(cross_entropy, label_smoothing=recipe.label_smoothing)
    return loss
