"""The loss that a network is trained with; scores are computed with the plain one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from optnas.errors import InputError
from optnas.evaluators.augmentation import Mixed
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.step import MeanLoss, differentiable

Loss = Callable[[Any, Any], Tensor]
TrainingLoss = Callable[[Any, Any], Tensor]


def training_loss(loss: Loss, recipe: Recipe) -> TrainingLoss:
    """The loss of training steps.

    Args:
        loss: `loss(outputs, targets)`, a tensor of one element: a standard one if the recipe
            changes it (`check_recipe` sees to that).
        recipe: Label smoothing is taken from it.

    Returns:
        A function of outputs and targets. A loss that the step computed stays as it is. For mixed
        examples it is the mixture of the losses for the targets of both. Its gradient is that of
        the loss for mixed targets: cross-entropy is linear in the targets, and the squared error
        differs by what the outputs don't change.
    """
    if recipe.label_smoothing:
        cross_entropy: Callable[..., Tensor] = loss
        loss = partial(cross_entropy, label_smoothing=recipe.label_smoothing)

    def mixture(outputs: Any, targets: Any) -> Tensor:
        if isinstance(outputs, MeanLoss):
            if recipe.label_smoothing:
                raise InputError(
                    "label_smoothing changes the usual loss of outputs and targets, and step "
                    "returns a loss alone: leave it out of the recipe, or return those"
                )
            return differentiable(outputs)
        if not isinstance(targets, Mixed):
            return loss(outputs, targets)
        first, second = loss(outputs, targets.first), loss(outputs, targets.second)
        return targets.share * first + (1 - targets.share) * second

    return mixture
