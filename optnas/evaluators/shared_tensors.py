"""The tensors of a supernet while they are trained: slices for each network, and the optimizer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from optnas.evaluators.feed import Batch, Feed
from optnas.evaluators.gradient_scale import GradientScale
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.supernet import Growth, Supernet

WARM_UP = 0.03
"""Share of the steps over which the learning rate rises to its full value."""


class SharedTensors:
    """Trains the tensors of a supernet: networks that were admitted run with slices of them.

    Args:
        feed: Runs networks on batches.
        recipe: Makes the optimizer. The learning rate rises in the first 3 % of the steps, and
            falls along a cosine over all of them.

    Attributes:
        supernet: The shared weights, on the device.
        scale: Scales the loss in float16, before gradients are computed.
    """

    def __init__(self, feed: Feed, recipe: Recipe) -> None:
        self.supernet = Supernet()
        self._feed = feed
        self._recipe = recipe
        self._optimizer = self._make_optimizer()
        self.scale = GradientScale(recipe.precision, feed.device)

    def run(self, model: nn.Module, batch: Batch) -> tuple[Any, Any]:
        """Outputs and targets of an admitted network."""
        slices = {f"model.{name}": t for name, t in self.supernet.slices(model).items()}
        with self._recipe.autocast(self._feed.device):
            found: tuple[Any, Any] = functional_call(_Run(model, self._feed), slices, (batch,))
        return found

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        self._optimizer.zero_grad()

    def update(self, step: int, steps: int) -> None:
        """Takes a step of the optimizer.

        Args:
            step: Counted from 0.
            steps: Their number.
        """
        risen = min(1.0, (step + 1) / (WARM_UP * steps))
        fallen = (1 + math.cos(math.pi * step / steps)) / 2
        for group in self._optimizer.param_groups:
            group["lr"] = self._recipe.learning_rate * risen * fallen
        if self._recipe.max_grad_norm is not None:
            tensors = list(self.supernet.tensors.values())
            self.scale.unscale(self._optimizer)
            nn.utils.clip_grad_norm_(tensors, self._recipe.max_grad_norm)
        self.scale.step(self._optimizer)

    def admit(self, model: nn.Module) -> None:
        """Adds a network's parameters to the supernet, and enlarges the optimizer's state."""
        known = len(self.supernet.tensors)
        grown = self.supernet.admit(model)
        if not grown and len(self.supernet.tensors) == known:
            return
        before = self._optimizer.state
        self._optimizer = self._make_optimizer()
        replaced = {growth.after: growth for growth in grown}
        for tensor in self.supernet.tensors.values():
            growth = replaced.get(tensor)
            if growth is not None:
                self._optimizer.state[tensor] = _padded(before.get(growth.before, {}), growth)
            elif tensor in before:
                self._optimizer.state[tensor] = before[tensor]

    def _make_optimizer(self) -> torch.optim.Optimizer:
        # Optimizers need at least one tensor, and there is none before the first network.
        tensors = [*self.supernet.tensors.values()] or [torch.zeros(0, device=self._feed.device)]
        return self._recipe.make_optimizer(tensors, in_part=True)

    def state(self) -> dict[str, Any]:
        """All that `load_state` needs: tensors (those in use, no copies) and plain types."""
        state = {
            "tensors": {key: t.detach() for key, t in self.supernet.tensors.items()},
            "optimizer": self._optimizer.state_dict(),
        }
        return state | ({"gradient_scale": self.scale.state()} if self.scale.used else {})

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continues from a state of the same training, made on any device."""
        device = self._feed.device
        tensors = {key: t.to(device, copy=True) for key, t in state["tensors"].items()}
        self.supernet = Supernet({key: t.requires_grad_() for key, t in tensors.items()})
        self._optimizer = self._make_optimizer()
        self._optimizer.load_state_dict(state["optimizer"])
        if self.scale.used:
            self.scale.load_state(state["gradient_scale"])


class _Run(nn.Module):
    """Runs a network on a batch, as a module: so a step may use all of the network."""

    def __init__(self, model: nn.Module, feed: Feed) -> None:
        super().__init__()
        self.model = model
        self._feed = feed

    def forward(self, batch: Batch) -> tuple[Any, Any]:
        """Outputs and targets."""
        return self._feed.run(self.model, batch)


def _padded(state: Mapping[str, Any], growth: Growth) -> dict[str, Any]:
    """An optimizer's state for a tensor, enlarged for the tensor that replaces it."""
    found = dict(state)
    for name, value in state.items():
        if isinstance(value, Tensor) and value.shape == growth.before.shape and value.ndim:
            found[name] = torch.zeros_like(growth.after, requires_grad=False)
            growth.old.put(value, found[name])
    return found
