"""The loss that a network is trained with; scores are computed with the evaluator's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from optnas.datasets.dataset import Dataset, Loaders
from optnas.datasets.losses import loss_named
from optnas.errors import InputError
from optnas.evaluators.augmentation import Mixed
from optnas.evaluators.heads import Heads
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.step import MeanLoss

Loss = Callable[[Any, Any], Tensor]
TrainingLoss = Callable[[Any, Any], Tensor]


def chosen_loss(recipe: Recipe, own: Loss, data: Dataset | Loaders) -> Loss:
    """The loss that a recipe trains with.

    Args:
        recipe: Its `loss` is a name, a function, or empty for that of the evaluator; its
            `head_weights` weigh the losses of several heads.
        own: That of the evaluator.
        data: A loss that has a name fits it.
    """
    if recipe.head_weights and isinstance(own, Heads):
        return own.weighted(dict(recipe.head_weights))
    if callable(recipe.loss):
        return recipe.loss
    return loss_named(recipe.loss, data) if recipe.loss else own


def training_loss(loss: Loss, recipe: Recipe) -> TrainingLoss:
    """The loss of training steps.

    Args:
        loss: That of `chosen_loss`: `loss(outputs, targets)`, a standard one if the recipe changes
            it (`check_recipe` sees to that).
        recipe: Label smoothing is taken from it.

    Returns:
        A function of outputs and targets. A loss that the step computed stays as it is. For mixed
        examples it is the mixture of the losses for the targets of both. For cross-entropy, which
        is linear in the targets, and for the squared error, its gradient is that of the loss for
        mixed targets.
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
            return outputs.value
        if not isinstance(targets, Mixed):
            return loss(outputs, targets)
        first, second = loss(outputs, targets.first), loss(outputs, targets.second)
        return targets.share * first + (1 - targets.share) * second

    return mixture


def backward(loss: Tensor, model: nn.Module) -> None:
    """Adds the gradient of a loss to that of the model's parameters.

    A network in which nothing is trained, such as one without adapters, has no gradient.

    Raises:
        InputError: The loss has no gradient, and the network has parameters that are trained.
    """
    if loss.requires_grad:
        loss.backward()
    elif any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError(
            "the loss in training has no gradient: let step, or the loss, return it as it was "
            "computed, without detach(), item() and torch.no_grad()"
        )
