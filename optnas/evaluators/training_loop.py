"""The training of one network: epochs, validation, learning rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property, partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from optnas.errors import InputError
from optnas.evaluators.augmentation import augmented
from optnas.evaluators.distillation import Teacher
from optnas.evaluators.evaluation import finite
from optnas.evaluators.feed import Feed
from optnas.evaluators.held_out import HeldOut
from optnas.evaluators.optimization import Optimization
from optnas.evaluators.outputs import in_float32
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.scoring import Score
from optnas.evaluators.single_example import explained_single_example
from optnas.evaluators.training_loss import Loss, backward, training_loss
from optnas.evaluators.weight_average import WeightAverage
from optnas.utils.weights_file import copied_state, load_state, own_memory


class TrainingLoop:
    """Trains a model in place on the device of its feed.

    If the recipe averages weights, the model has the averaged ones between epochs.

    Args:
        model: The model; moved to the device.
        feed: Provides the batches.
        recipe: How it is trained.
        loss: `loss(outputs, targets)`, a tensor of one element: the score of the loss.
        trained_with: Training steps are taken with what the recipe makes of this loss.
        scores: Further functions of outputs and targets, by name.
        give_way: Called before each step: a latency measurement may be waiting for the device.
        teach: Makes the teacher whose outputs are targets, too; None if there is none.

    Attributes:
        model: The model, on the device.
        epoch: The number of epochs that are done.
    """

    def __init__(
        self,
        model: nn.Module,
        feed: Feed,
        recipe: Recipe,
        loss: Loss,
        trained_with: Loss,
        scores: Mapping[str, Score],
        give_way: Callable[[], None],
        teach: Callable[[Feed, str], Teacher] | None = None,
    ) -> None:
        self._layout = feed.layout(model.to(feed.device), recipe.precision)
        self.model = model.to(memory_format=self._layout)  # type: ignore[call-overload]
        own_memory(self.model)
        self._feed = feed
        self._recipe = recipe
        self._loss = loss
        self._training_loss = training_loss(trained_with, recipe)
        self._scores = scores
        self._give_way = give_way
        self._teach = teach
        self._average: WeightAverage | None = None
        if recipe.ema_decay:
            self._average = WeightAverage(self.model, recipe.ema_decay)
        self.epoch = 0
        self._best: tuple[dict[str, float], Any] | None = None
        self._step = 0

    @cached_property
    def _optimization(self) -> Optimization:
        """Made at its first use: some models are only scored."""
        recipe = self._recipe
        steps = -(-self._feed.steps(recipe.batch_size) // recipe.accumulate) * recipe.epochs
        return Optimization(self.model, recipe, steps, self.device)

    @cached_property
    def _teacher(self) -> Teacher | None:
        """Made at its first use, like the optimization."""
        return None if self._teach is None else self._teach(self._feed, self._recipe.precision)

    @explained_single_example()
    def train_epoch(self) -> float:
        """Trains for one pass over the training part.

        Returns:
            The mean loss of its steps.

        Raises:
            CandidateError: The loss is NaN or infinite.
            InputError: A batch has one example, and the model a BatchNorm; or there is no batch.
        """
        model, optimization = self.model.train(), self._optimization
        average = self._average
        if average is not None:
            average.begin_epoch()
        total: Tensor | float = 0.0
        before, recipe = self._step, self._recipe
        batches = augmented(self._feed.train(recipe.batch_size, self._layout), recipe)
        for group in grouped(batches, recipe.accumulate):
            loss = optimization.step(self._step, partial(self._gradient, model, group))
            if average is not None:
                average.update(self._step)
            # Summed on the device: reading it here would make every step wait for the device.
            total = total + loss
            self._step += 1
        if average is not None:
            average.end_epoch()
        if self._step == before:
            raise InputError(
                f"the training loader gave no batch in epoch {self.epoch + 1}: its dataset is "
                "exhausted after one pass; let its `__iter__` begin anew each time"
            )
        self.epoch += 1
        mean = finite("diverged: the training loss", float(total)) / (self._step - before)
        optimization.end_epoch(mean)
        return mean

    def _gradient(self, model: nn.Module, batches: Sequence[Any]) -> Tensor:
        """Adds the gradient of the batches' mean loss to the parameters', and returns the loss."""
        losses = []
        for batch in batches:
            self._give_way()
            with self._recipe.autocast(self.device):
                # Before the network, which may change its inputs in place.
                soft = None if self._teacher is None else self._teacher(batch[0])
                outputs, targets = self._feed.run(model, batch)
            loss = self._training_loss(in_float32(outputs), targets)
            if self._teacher is not None and soft is not None:
                loss = self._teacher.loss(loss, outputs, soft, targets)
            if len(batches) > 1:
                loss = loss / len(batches)
            backward(self._optimization.scale.scaled(loss), model)
            losses.append(loss.detach())
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

    def score(self, loss_name: str = "val_loss", *, autocast: bool = True) -> dict[str, float]:
        """The scores on the held-out part, computed from all its outputs at once.

        Args:
            loss_name: The name of the loss among the scores.
            autocast: Whether the model runs in the recipe's precision; else in its weights'.

        Raises:
            CandidateError: The loss is NaN or infinite.
        """
        self.model.eval()
        found = HeldOut(self._loss, self._scores)
        with torch.no_grad():
            for batch in self._feed.held_out(self._layout):
                self._give_way()
                with self._recipe.autocast(self.device) if autocast else nullcontext():
                    outputs, targets = self._feed.run(self.model, batch)
                found.add(outputs, targets, batch)
            return found.scores(loss_name)

    def keep_best(self, scores: dict[str, float]) -> None:
        """Keeps these scores and the current weights if no earlier `val_loss` was less."""
        if self._best is None or scores["val_loss"] < self._best[0]["val_loss"]:
            self._best = scores, copied_state(self.model.state_dict())

    def take_best(self) -> dict[str, float]:
        """Puts the kept weights back into the model, and returns their scores."""
        assert self._best is not None
        scores, weights = self._best
        load_state(self.model, weights)
        return scores

    def state(self) -> dict[str, Any]:
        """All that `load_state` needs: tensors (those in use, no copies) and plain types."""
        state = {
            "model": self.model.state_dict(),
            **self._optimization.state(),
            "best": self._best,
            "epoch": self.epoch,
            "step": self._step,
        }
        return state | ({} if self._average is None else {"trained": self._average.state()})

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continues from a state of the same network's training, made on any device."""
        load_state(self.model, state["model"])
        self._optimization.load_state(state)
        self._best = state["best"]
        self.epoch = state["epoch"]
        self._step = state["step"]
        if self._average is not None:
            self._average.load_state(state["trained"])

    @property
    def device(self) -> torch.device:
        """Where the model is trained."""
        return self._feed.device


def grouped(batches: Iterable[Any], size: int) -> Iterator[tuple[Any, ...]]:
    """The batches in groups of a size; the last one may be smaller."""
    rest = iter(batches)
    while group := tuple(islice(rest, size)):
        yield group
