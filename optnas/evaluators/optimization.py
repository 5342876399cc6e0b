"""The optimizer of a training, with the learning rate of each step."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from optnas.errors import InputError
from optnas.evaluators.gradient_scale import GradientScale
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.recipe_functions import made_optimizer, made_scheduler


class Optimization:
    """Takes the steps of a training, as its recipe says.

    Args:
        model: The model, on its device.
        recipe: The recipe.
        steps: The number of steps in all epochs.
        device: Where the model is.

    Attributes:
        scale: Scales the loss in float16, before gradients are computed.

    Raises:
        InputError: A function of the recipe makes something else than it should, or an optimizer
            that can't be used in float16.
    """

    def __init__(self, model: nn.Module, recipe: Recipe, steps: int, device: torch.device) -> None:
        self._recipe = recipe
        self._steps = steps
        self._optimizer = _optimizer(model, recipe)
        self._rates = [group["lr"] for group in self._optimizer.param_groups]
        self._closure = _needs_closure(self._optimizer)
        self.scale = GradientScale(recipe.precision, device)
        if self._closure and self.scale.used:
            raise InputError(
                f"{type(self._optimizer).__name__} computes the loss several times in a step, "
                "which PyTorch's scaling of gradients in float16 doesn't allow: take "
                "precision='bfloat16' or 'float32', or another optimizer"
            )
        self._scheduler = made_scheduler(self._optimizer, recipe, steps)

    def step(self, step: int, loss_of: Callable[[], Tensor]) -> Tensor:
        """Takes a step.

        Args:
            step: Counted from 0.
            loss_of: Computes the loss, and adds its gradient to the parameters'.

        Returns:
            The loss, detached.
        """
        if self._scheduler is None:
            for group, highest in zip(self._optimizer.param_groups, self._rates, strict=True):
                group["lr"] = self._recipe.learning_rate_at(step, self._steps, highest)
        if self._closure:  # LBFGS computes the loss several times in a step
            closure: Any = partial(self._with_gradient, loss_of)
            loss: Any = self._optimizer.step(closure)
        else:
            loss = self._with_gradient(loss_of)
            self.scale.step(self._optimizer)
        if self._scheduler is not None and not isinstance(self._scheduler, ReduceLROnPlateau):
            with warnings.catch_warnings():
                if self.scale.used:  # the first steps are left out if the scale is too large
                    warnings.filterwarnings("ignore", "Detected call of .lr_scheduler.step")
                self._scheduler.step()
        return torch.as_tensor(loss).detach()

    def _with_gradient(self, loss_of: Callable[[], Tensor]) -> Tensor:
        self._optimizer.zero_grad()
        loss = loss_of()
        if self._recipe.max_grad_norm is not None:
            groups = self._optimizer.param_groups
            parameters = [parameter for group in groups for parameter in group["params"]]
            self.scale.unscale(self._optimizer)
            nn.utils.clip_grad_norm_(parameters, self._recipe.max_grad_norm)
        return loss

    def end_epoch(self, loss: float) -> None:
        """Tells a `ReduceLROnPlateau` the mean loss of the epoch's steps."""
        if isinstance(self._scheduler, ReduceLROnPlateau):
            self._scheduler.step(loss)

    def state(self) -> dict[str, Any]:
        """All that `load_state` needs: tensors (those in use, no copies) and plain types."""
        state = {"optimizer": self._optimizer.state_dict()}
        if self.scale.used:
            state["gradient_scale"] = self.scale.state()
        return state | ({"scheduler": self._scheduler.state_dict()} if self._scheduler else {})

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continues from a state of the same training."""
        self._optimizer.load_state_dict(state["optimizer"])
        if self.scale.used:
            self.scale.load_state(state["gradient_scale"])
        if self._scheduler is not None:
            self._scheduler.load_state_dict(state["scheduler"])


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer of a model.

    Raises:
        InputError: See `made_optimizer`; or an embedding has sparse gradients, which no optimizer
            that has a name takes.
    """
    if next(model.parameters(), None) is None:  # pooling alone, say: PyTorch's take no empty list
        return torch.optim.SGD([torch.zeros(())])
    if callable(recipe.optimizer):
        return made_optimizer(model, recipe)
    for name, module in model.named_modules():
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) and module.sparse:
            raise InputError(
                f"the embedding {name or type(module).__name__} has sparse gradients "
                f"(sparse=True), which {recipe.optimizer} doesn't take: leave it out, or let the "
                "recipe make an optimizer that does: optimizer=lambda model: "
                "torch.optim.SGD(model.parameters(), lr=0.1)"
            )
    return recipe.make_optimizer(model.parameters())


def _needs_closure(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a step must be given a function that computes the loss."""
    # Of the class, because schedulers wrap the method of the object.
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is closure.empty
