"""Trains each network from scratch, with little overhead for small networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, get_args

import torch
from optuna.trial import BaseTrial
from torch import nn

from optnas.candidate import Candidate
from optnas.datasets import losses
from optnas.datasets.dataset import Dataset, Loaders
from optnas.datasets.losses import chance_scores, standard_loss
from optnas.devices.device import resolve_device
from optnas.errors import InputError
from optnas.evaluators.abilities import (
    Configurable,
    KnowsChance,
    KnowsData,
    Rescoring,
    Retrainable,
)
from optnas.evaluators.base import Evaluator
from optnas.evaluators.epoch_report import Report
from optnas.evaluators.feed import ArrayFeed, Feed, LoaderFeed
from optnas.evaluators.first_look import first_look
from optnas.evaluators.function import check_directions
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.recipe_checks import check_recipe
from optnas.evaluators.recipe_space import RecipeSpace
from optnas.evaluators.retraining import RetrainingEvaluator
from optnas.evaluators.training_loop import Score, TrainingLoop
from optnas.evaluators.training_loss import Loss
from optnas.evaluators.training_run import training_run
from optnas.study.objectives import Direction
from optnas.utils.code_hash import callable_name, code_hash
from optnas.utils.inputs import Inputs

Precision = Literal["float32", "bfloat16"]
Epoch = Literal["last", "best"]


class TrainingEvaluator(Evaluator, KnowsData, Retrainable, Configurable, KnowsChance, Rescoring):
    """Trains a candidate on the training part and scores it on the validation part.

    Scores: `val_loss`; for classification `val_accuracy`; those in `scores`. Cross-entropy is
    the loss for classification, the mean squared error for regression.

    By default the scores are those after the last epoch. The learning rate has fallen to zero by
    then, so it is a good epoch. Taking the best of many epochs instead would choose on the noise of
    the validation part, and report lucky networks as better ones.

    Arrays are on the device from the start. The inner loop has no DataLoader, and no step waits for
    the device. A last batch of a single example is left out, because batch normalisation can't
    train on it.

    A checkpoint is kept in the report's folder, written at most every 5 seconds and for at most 5 %
    of the time. The trial that repeats a lost one resumes from it and ends with the scores and
    weights that the lost one would have had: bit by bit on a CPU, and on a GPU where the model's
    operations are deterministic (convolutions are, here; PyTorch lists the others under
    `torch.use_deterministic_algorithms`). State that a model keeps outside its `state_dict` is
    lost. With `Loaders` this holds if order and augmentation are drawn from the global generators
    (torch's, NumPy's or random's): a DataLoader's own `generator`, and the state of its dataset or
    persistent workers, begin anew.

    Example:
        ```python
        import optnas

        evaluator = optnas.TrainingEvaluator(
            optnas.digits(), epochs=5, recipe=optnas.Recipe(learning_rate=0.01)
        )
        evaluator.provides  # {"val_loss": "minimize", "val_accuracy": "maximize"}
        ```

    Args:
        data: A `Dataset`, or your own DataLoaders as `Loaders`.
        epochs: Passes over the training part.
        recipe: A fixed `Recipe`, or a `RecipeSpace` to search some of its settings.
        loss: `loss(outputs, targets)`, a tensor of one element, instead of the usual one. Outputs
            have shape `(batch, ...)` in float32, targets the shape of the data's.
        scores: Further scores by name, each a function and its direction:
            `{"f1": (f1, "maximize")}`. The function takes all outputs and targets of the validation
            part at once.
        precision: `float32`, or `bfloat16` (autocast, with the loss in float32).
        device: `auto` (the first that is available of CUDA, MPS and the CPU), or a name.
        epoch: `last` or `best`: which epoch's scores and weights count. The best one has the least
            val_loss.
        accuracy: Whether classification has the score `val_accuracy`. It needs an output for each
            class; switch it off for single logits, sequences of tokens, several labels an example.

    Attributes:
        epochs: As given.
        recipe: A `Recipe` or a `RecipeSpace`.
        precision: `float32` or `bfloat16`.
        loss: `loss(outputs, targets)`, a tensor of one element.

    Raises:
        TypeError: `data` or `recipe` is of another type.
        ValueError: A setting is out of range, or the recipe doesn't fit the data or the loss.
    """

    def __init__(
        self,
        data: Dataset | Loaders,
        epochs: int = 15,
        recipe: Recipe | RecipeSpace | None = None,
        *,
        loss: Loss | None = None,
        scores: Mapping[str, tuple[Score, Direction]] | None = None,
        precision: Precision = "float32",
        device: str = "auto",
        epoch: Epoch = "last",
        accuracy: bool = True,
    ) -> None:
        recipe = Recipe() if recipe is None else recipe
        if not isinstance(data, (Dataset, Loaders)):
            raise TypeError(
                "data must be a Dataset (optnas.arrays(x, y)) or Loaders (optnas.Loaders(...)), "
                f"got {type(data).__name__}"
            )
        if not isinstance(recipe, (Recipe, RecipeSpace)):
            raise TypeError(f"recipe must be a Recipe or a RecipeSpace, got {recipe!r}")
        check_recipe(recipe, data, own_loss=loss is not None)
        if precision not in get_args(Precision):
            raise ValueError(f"precision must be float32 or bfloat16, got {precision!r}")
        if epoch not in get_args(Epoch):
            raise ValueError(f"epoch must be last or best, got {epoch!r}")
        self._data = data
        self.recipe = recipe
        self.precision = precision
        self._epoch = epoch
        self.device: str = device
        self._set_epochs(epochs)
        self._loss_name = callable_name(loss) if loss else ""
        self._loss_code = code_hash(loss) if loss else ""
        self.loss = loss or standard_loss(data)
        self._scores: dict[str, Score] = {}
        self._provides: dict[str, Direction] = {"val_loss": "minimize"}
        if data.task == "classification" and accuracy:
            self._scores["val_accuracy"] = losses.accuracy
            self._provides["val_accuracy"] = "maximize"
        self._score_codes = {name: code_hash(score) for name, (score, _) in (scores or {}).items()}
        if scores:
            self._scores |= {name: function for name, (function, _) in scores.items()}
            self._provides |= check_directions("scores", {n: d for n, (_, d) in scores.items()})
        self._feeds: dict[torch.device, Feed] = {}
        self._looked = False

    def __repr__(self) -> str:
        return f"TrainingEvaluator({self._data!r}, epochs={self.epochs})"

    def _set_epochs(self, epochs: int) -> None:
        if epochs < 1:
            raise InputError(f"epochs must be at least 1, got {epochs}")
        self.epochs = epochs

    @property
    def provides(self) -> Mapping[str, Direction]:
        """`val_loss`, `val_accuracy` for classification, and the given scores."""
        return self._provides

    @property
    def data(self) -> Dataset | Loaders:
        """As given."""
        return self._data

    @property
    def has_own_loss(self) -> bool:
        """Whether `loss` was given."""
        return bool(self._loss_name)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Data and split, epochs, recipe, loss, scores, precision, and which epoch counts."""
        return {
            "data": self._data.fingerprint,
            "epochs": self.epochs,
            "recipe": repr(self.recipe),
            "loss": f"{self._loss_name} {self._loss_code}" if self._loss_name else "standard",
            "scores": ", ".join(
                f"{name} ({self._provides[name]}) {code}"
                for name, code in self._score_codes.items()
            ),
            "precision": self.precision,
            "epoch": self._epoch,
        }

    @cached_property
    def chance(self) -> Mapping[str, float]:
        """The scores of a constant prediction: of the standard loss and of the accuracy.

        They aren't known of your own loss and scores, nor of loaders.
        """
        if not isinstance(self._data, Dataset):
            return {}
        found = chance_scores(self._data)
        known = set() if self._loss_name else {"val_loss"}
        if self._scores.get("val_accuracy") is losses.accuracy:
            known.add("val_accuracy")
        return {name: found[name] for name in sorted(known)}

    def configured(
        self, *, device: str | None = None, epochs: int | None = None
    ) -> TrainingEvaluator:
        """A copy with another device or number of epochs.

        Raises:
            InputError: `epochs` is below 1.
        """
        evaluator = copy(self)
        if device is not None:
            evaluator.device = device
        if epochs is not None:
            evaluator._set_epochs(epochs)
        return evaluator

    def suggest(self, trial: BaseTrial) -> Recipe:
        """The recipe, its searched settings drawn from the trial."""
        recipe = self.recipe
        drawn = recipe if isinstance(recipe, Recipe) else recipe.suggest(trial)
        return replace(
            drawn,
            epochs=self.epochs,
            precision=self.precision,
            loss=self._loss_name,
            data=self._data.fingerprint,
        )

    def evaluate(self, candidate: Candidate, recipe: Recipe, report: Report) -> dict[str, float]:
        """Trains `candidate.model` in place and leaves it in evaluation mode.

        Raises:
            CandidateError: A loss became NaN or infinite.
            InputError: The model's output doesn't fit the data, the loss or the accuracy.
        """
        scores: dict[str, float] = {}

        def make() -> TrainingLoop:
            return self.loop(candidate.model, recipe, report.give_way)

        with training_run(candidate, recipe, report, self.fingerprint, make) as (loop, epochs):
            self.look(loop.model, candidate.example_inputs, recipe)
            for epoch in epochs:
                loop.train_epoch()
                scores = loop.score()
                if self._epoch == "best":
                    loop.keep_best(scores)
                report(epoch, scores)
            return loop.take_best() if self._epoch == "best" else scores

    def retraining(self, epochs: int | None = None) -> RetrainingEvaluator:
        """The evaluator that trains on all but the test part, and scores there once.

        Raises:
            InputError: The data has no test part, or `epochs` is below 1.
        """
        return RetrainingEvaluator(
            self.configured(epochs=epochs), self._data, self.loss, self._scores
        )

    def look(self, model: nn.Module, example: Inputs, recipe: Recipe) -> None:
        """Checks what the first model returns, before it is trained (see `first_look`)."""
        if not self._looked:
            usual = None if self._loss_name else self._data
            feed = self.feed()
            first_look(model, feed, recipe, self.loss, self._scores, example, usual)
            self._looked = True

    def score_again(self, model: nn.Module, recipe: Recipe) -> dict[str, float]:
        """The scores of a trained model on the validation part."""
        return self.loop(model, recipe, lambda: None).score()

    def loop(self, model: nn.Module, recipe: Recipe, give_way: Callable[[], None]) -> TrainingLoop:
        """The training of a model with this data and loss, on this device."""
        return TrainingLoop(model, self.feed(), recipe, self.loss, self._scores, give_way)

    def feed(self) -> Feed:
        """The batches of training and validation part, on this device."""
        device = resolve_device(self.device)
        if device not in self._feeds:
            data = self._data
            self._feeds[device] = (
                ArrayFeed(data.train, data.val, device)
                if isinstance(data, Dataset)
                else LoaderFeed(data.train, data.val, device)
            )
        return self._feeds[device]
