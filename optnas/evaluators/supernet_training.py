"""The training of the weights that all networks of a search space share.

Source: Guo et al., Single path one-shot neural architecture search with uniform sampling, ECCV 2020
(arXiv 1904.00420): each step trains networks that are drawn uniformly. Optionally each step also
trains the largest and the smallest network: the sandwich rule of Yu and Huang, Universally
slimmable networks and improved training techniques, ICCV 2019 (arXiv 1903.05134), without their
distillation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any

import torch
from optuna import TrialPruned
from torch import Tensor, nn

from optnas.candidate import Candidate
from optnas.devices.device import release_memory
from optnas.errors import InputError, fault_of_candidate, with_place
from optnas.evaluators.augmentation import augmented
from optnas.evaluators.feed import Batch, Feed
from optnas.evaluators.network_ends import Largest, Smallest
from optnas.evaluators.outputs import in_float32
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.shared_tensors import SharedTensors
from optnas.evaluators.single_example import explained_single_example
from optnas.evaluators.supernet import Supernet
from optnas.evaluators.training_loss import Loss, backward, training_loss
from optnas.search_spaces import SearchSpace
from optnas.utils.draft import Draft

MOST_FAILURES = 100
"""The training ends with an error after this number of failed networks in a row."""


class SupernetTraining:
    """Trains a supernet step by step: each step trains some networks on one batch.

    Args:
        space: Networks are drawn from it, uniformly in each choice.
        feed: Provides the batches.
        recipe: How it is trained, without a schedule, a warm-up or an average: the learning rate
            rises in the first 3 % of the steps, and falls along a cosine over all of them.
        loss: `loss(outputs, targets)`, a tensor of one element.
        steps: The number of steps, in all.
        networks: The number of networks that a step trains.
        sandwich: Whether two of them are the largest and the smallest network.
        look: Checks what the first network of each step returns, untrained.

    Attributes:
        step: The number of steps that are done.
        steps: As given.
    """

    def __init__(
        self,
        space: SearchSpace[Any],
        feed: Feed,
        recipe: Recipe,
        loss: Loss,
        *,
        steps: int,
        networks: int,
        sandwich: bool,
        look: Callable[[nn.Module], None] | None = None,
    ) -> None:
        self._look = look
        self.step = 0
        self.steps = steps
        self._space = space
        self._feed = feed
        self._recipe = recipe
        self._loss = training_loss(loss, recipe)
        self._networks = networks
        self._sandwich = sandwich
        self._rng = Random(recipe.seed)
        self._failures = 0
        self._weights = SharedTensors(feed, recipe)

    @property
    def supernet(self) -> Supernet:
        """The shared weights, on the device."""
        return self._weights.supernet

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return self._feed.device

    def train_epoch(self, give_way: Callable[[], None]) -> float:
        """Trains for one pass over the training part, or for the remaining steps.

        Args:
            give_way: Called before each network: a latency measurement may wait for the device.

        Returns:
            The mean loss of the pass's networks.

        Raises:
            InputError: The loss diverged, or a network can't share its weights.
        """
        total: Tensor | float = 0.0
        trained = 0
        batches = self._feed.train(self._recipe.batch_size, torch.contiguous_format)
        for batch in augmented(batches, self._recipe):
            if self.step == self.steps:
                break
            models = self._made()
            if self._look is not None and models:
                with self._tolerated():
                    self._look(models[0])
            for model in models:
                self._weights.admit(model)
            self._weights.zero_grad()
            for model in models:
                give_way()
                with self._tolerated():
                    loss = self._loss_of(model, batch)
                    backward(self._weights.scale.scaled(loss / len(models)), model)
                    total, trained = total + loss.detach(), trained + 1
            self._weights.update(self.step, self.steps)
            self.step += 1
        mean = float(total) / max(trained, 1)
        if not math.isfinite(mean):
            raise InputError(
                f"the shared weights diverged after {self.step} steps: their training loss is "
                f"{mean}; give SharedWeightsEvaluator a recipe with a lower learning rate than "
                f"{self._recipe.learning_rate:g}"
            )
        return mean

    @explained_single_example()
    def _loss_of(self, model: nn.Module, batch: Batch) -> Tensor:
        outputs, targets = self._weights.run(model, batch)
        return self._loss(in_float32(outputs), targets)

    def _made(self) -> list[nn.Module]:
        """The networks of a step, in training mode; their own weights aren't used."""
        ends: list[type[Draft]] = [Largest, Smallest] if self._sandwich else []
        found = []
        for pick in ends + [Draft] * (self._networks - len(ends)):
            with self._tolerated():
                found.append(self._network(self._space.suggest(pick({}, self._rng))))
        return found

    def _network(self, architecture: Any) -> nn.Module:
        example = self._space.example_inputs
        build = partial(self._space.build, architecture)
        made = Candidate(architecture, example, build, disposable=True)
        return made.model.train().to(self.device)

    @contextmanager
    def _tolerated(self) -> Iterator[None]:
        """Skips a network that can't be built or run: in the search only its trial would fail."""
        try:
            yield
        except InputError:
            raise
        except (TrialPruned, RuntimeError, ValueError) as error:
            if fault_of_candidate(error):  # out of memory; else collecting garbage costs time
                release_memory(error)
            self._failures += 1
            never = not self.supernet.tensors and self.step + 1 == self.steps
            if self._failures == MOST_FAILURES or never:
                raise InputError(
                    f"the shared weights can't be trained: {self._failures} networks in a row, "
                    f"drawn at random, could not be made or run; the last one: {with_place(error)}"
                ) from error
        else:
            self._failures = 0

    def state(self) -> dict[str, Any]:
        """All that `load_state` needs: tensors (those in use, no copies) and plain types."""
        return {
            **self._weights.state(),
            "step": self.step,
            "networks": self._rng.getstate(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continues from a state of the same training, made on any device."""
        self._weights.load_state(state)
        self.step = state["step"]
        self._rng.setstate(state["networks"])
