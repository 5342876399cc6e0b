"""The training of one network: epochs, validation, learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from optnas.errors import CandidateError
from optnas.evaluators.feed import Feed, memory_format
from optnas.evaluators.recipe import Recipe

Loss = Callable[[Tensor, Tensor], Tensor]
Score = Callable[[Tensor, Tensor], float | Tensor]


class TrainingLoop:
    """Trains a model in place on the device of its feed.

    Args:
        model: The model; moved to the device.
        feed: Gives out batches.
        recipe: Optimizer, learning rate, batch size, epochs and precision.
        loss: `loss(outputs, targets)`, a tensor of one element.
        scores: Further functions of outputs and targets, by name.
        give_way: Called before each step: a latency measurement may be waiting for the device.
    """

    def __init__(
        self,
        model: nn.Module,
        feed: Feed,
        recipe: Recipe,
        loss: Loss,
        scores: Mapping[str, Score],
        give_way: Callable[[], None],
    ) -> None:
        self._layout = memory_format(model, feed.device, recipe.precision)
        self.model = model.to(feed.device).to(memory_format=self._layout)  # type: ignore[call-overload]
        self._feed = feed
        self._recipe = recipe
        self._loss = loss
        self._scores = scores
        self._give_way = give_way
        self.epoch = 0
        """Epochs done."""
        self._best: tuple[dict[str, float], dict[str, Tensor]] | None = None
        self._step = 0
        self._steps = feed.steps(recipe.batch_size) * recipe.epochs

    @cached_property
    def _optimizer(self) -> torch.optim.Optimizer:
        """Made when it is needed: a model may only be scored."""
        return self._recipe.make_optimizer(self.model.parameters())

    def train_epoch(self) -> float:
        """One pass over the training part; returns the mean loss of its steps.

        Raises:
            CandidateError: The loss diverged.
        """
        model, optimizer = self.model.train(), self._optimizer
        total: Tensor | float = 0.0
        before = self._step
        for x, y in self._feed.train(self._recipe.batch_size, self._layout):
            self._give_way()
            share = self._step / self._steps
            rate = self._recipe.learning_rate * (1 + math.cos(math.pi * share)) / 2
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            with self._recipe.autocast(self.device):
                outputs = model(x)
            loss = self._loss(outputs.float(), y)
            loss.backward()
            optimizer.step()
            # Summed on the device: reading it would make every step wait.
            total = total + loss.detach()
            self._step += 1
        self.epoch += 1
        return _finite("the training loss", float(total)) / max(self._step - before, 1)

    def score(self, loss_name: str = "val_loss", *, autocast: bool = True) -> dict[str, float]:
        """The scores on the part that is held out, all outputs taken together.

        Args:
            loss_name: What the loss is called there.
            autocast: Whether the model runs in the recipe's precision, or in that of its weights.

        Raises:
            CandidateError: The loss is NaN or infinite.
        """
        self.model.eval()
        batches, device = [], self.device
        with torch.no_grad():
            for x, y in self._feed.held_out(self._layout):
                self._give_way()
                with self._recipe.autocast(device) if autocast else nullcontext():
                    outputs = self.model(x)
                batches.append((outputs.float(), y))
            outputs, targets = (torch.cat(tensors) for tensors in zip(*batches, strict=True))
            scores = {loss_name: _finite(loss_name, float(self._loss(outputs, targets)))}
            return scores | {n: float(score(outputs, targets)) for n, score in self._scores.items()}

    def keep_best(self, scores: dict[str, float]) -> None:
        """Keeps these scores and the weights they belong to, if no `val_loss` was less so far."""
        if self._best is None or scores["val_loss"] < self._best[0]["val_loss"]:
            self._best = scores, {n: t.clone() for n, t in self.model.state_dict().items()}

    def take_best(self) -> dict[str, float]:
        """Puts the weights that were kept back into the model, and returns their scores."""
        assert self._best is not None
        scores, weights = self._best
        self.model.load_state_dict(weights)
        return scores

    def state(self) -> dict[str, Any]:
        """What `load_state` needs to go on from here: tensors in use, and plain types."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "best": self._best,
            "epoch": self.epoch,
            "step": self._step,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state of a training of the same network, on whichever device."""
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._best = state["best"]
        self.epoch = state["epoch"]
        self._step = state["step"]

    @property
    def device(self) -> torch.device:
        """Where the model is trained."""
        return self._feed.device


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise CandidateError(f"diverged: {name} is {value}")
    return value
