"""Trains each network from scratch, with little overhead for small networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from optuna.trial import BaseTrial
from torch import nn

from optnas.candidate import Candidate
from optnas.datasets.dataset import Dataset, Loaders
from optnas.devices.device import resolve_device
from optnas.evaluators.abilities import (
    Configurable,
    KnowsChance,
    KnowsData,
    Rescoring,
    Retrainable,
)
from optnas.evaluators.base import Evaluator
from optnas.evaluators.distillation import Distillation, teaching
from optnas.evaluators.epoch_report import Report
from optnas.evaluators.feed import Feed, feed_of
from optnas.evaluators.first_look import first_look
from optnas.evaluators.heads import HeadLoss
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.recipe_checks import check_recipe
from optnas.evaluators.recipe_space import RecipeSpace, possible
from optnas.evaluators.retraining import RetrainingEvaluator
from optnas.evaluators.scoring import Scores, scoring
from optnas.evaluators.step import OwnStep, Step
from optnas.evaluators.training_checks import Epoch, Precision, check_epochs, check_settings
from optnas.evaluators.training_loop import TrainingLoop
from optnas.evaluators.training_loss import Loss, chosen_loss
from optnas.evaluators.training_run import training_run
from optnas.study.objectives import Direction
from optnas.utils.inputs import Inputs


class TrainingEvaluator(Evaluator, KnowsData, Retrainable, Configurable, KnowsChance, Rescoring):
    """Trains a candidate on the training part and scores it on the validation part.

    Scores: `val_loss`; for classification `val_accuracy`; for segmentation `val_accuracy` (the
    share of the pixels that are right) and `val_mean_iou` (`optnas.datasets.pixels.MeanIoU`); for
    language `perplexity`, exp(val_loss); those in `scores`. The mean squared error is the loss for
    regression, cross-entropy for the others, in nats (for language: a token).

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
            have shape `(batch, ...)` in float32, targets the shape of the data's. Or one of the
            names that `Recipe` lists. For a network with several heads, a dictionary with the loss
            of each: outputs and targets are dictionaries with these names, or tuples in this order;
            `val_loss` is the sum, and there are the scores `val_loss.NAME` and `val_accuracy.NAME`.
        scores: Further scores by name, each a function and its direction:
            `{"f1": (f1, "maximize")}`. The function takes all outputs and targets of the validation
            part at once. `{"val_accuracy": None}` drops that one. For language, all logits are in
            memory for such a function; without one they aren't.
        step: `step(model, batch)`, for batches that are no pairs of inputs and targets, or models
            that are called otherwise. The batch is on the device, as is all in it that has a method
            `to`. The step returns `(outputs, targets)` of any form, which `loss` and `scores` take;
            or the loss alone, a tensor of one element, if there are no scores; or a pair of it and
            the number of examples that it is the mean of. `model.training` tells training from
            scoring. See "Batches of any form" in the documentation.
        precision: `float32`; or `bfloat16` or `float16` (autocast, with the loss in float32), which
            most CPUs are slower with. `float16`, for GPUs without bfloat16, scales gradients as
            PyTorch's `GradScaler` does; it was tested on a CPU alone.
        device: `auto` (the first that is available of CUDA, MPS and the CPU), or a name.
        epoch: `last` or `best`: which epoch's scores and weights count. The best one has the least
            val_loss.
        accuracy: Whether classification has the score `val_accuracy`, and segmentation that and
            `val_mean_iou`. They need an output for each class; switch them off for single logits,
            sequences of tokens, several labels an example.
        distillation: The outputs of a trained network as further targets; see `Distillation`.

    Attributes:
        epochs, precision: As given.
        recipe: A `Recipe` or a `RecipeSpace`.
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
        loss: Loss | str | Mapping[str, HeadLoss] | None = None,
        scores: Scores | None = None,
        step: Step | None = None,
        precision: Precision = "float32",
        device: str = "auto",
        epoch: Epoch = "last",
        accuracy: bool = True,
        distillation: Distillation | None = None,
    ) -> None:
        recipe = Recipe() if recipe is None else recipe
        check_settings(data, recipe, step, precision, epoch)
        self._data = data
        self.recipe = recipe
        self.precision = precision
        self._epoch = epoch
        self.device: str = device
        self._set_epochs(epochs)
        self._scoring = scoring(data, loss, scores, accuracy=accuracy)
        self.loss = self._scoring.loss
        self._step = None if step is None else OwnStep(step)
        self.check_recipe(recipe)
        self._distillation = distillation
        self._teach = teaching(distillation, data.task, self.loss, own_step=step is not None)
        self._feeds: dict[torch.device, Feed] = {}
        self._looked = False

    def __repr__(self) -> str:
        return f"TrainingEvaluator({self._data!r}, epochs={self.epochs})"

    def _set_epochs(self, epochs: int) -> None:
        check_epochs(epochs)
        self.epochs = epochs

    @property
    def provides(self) -> Mapping[str, Direction]:
        """`val_loss`, the usual scores of the task, and the given ones."""
        return self._scoring.provides

    @property
    def data(self) -> Dataset | Loaders:
        """As given."""
        return self._data

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Data and split, epochs, recipe, loss, scores, precision, which epoch counts, and step."""
        found = {
            "data": self._data.fingerprint,
            "epochs": self.epochs,
            "recipe": repr(self.recipe),
            **self._scoring.fingerprint,
            "precision": self.precision,
            "epoch": self._epoch,
        }
        if self._distillation is not None:
            found["distillation"] = self._distillation.fingerprint
        return found | ({} if self._step is None else {"step": self._step.fingerprint})

    @cached_property
    def chance(self) -> Mapping[str, float]:
        """The scores of a constant prediction: of the standard loss and of the usual scores.

        They aren't known of your own loss, scores and step, nor of loaders.
        """
        if not isinstance(self._data, Dataset) or self._step is not None:
            return {}
        return self._scoring.chance(self._data)

    def check_recipe(self, recipe: Recipe | RecipeSpace) -> None:
        """Raises ValueError unless a recipe fits the data, the loss and the step."""
        check_recipe(recipe, self._data, self._scoring, own_step=self._step is not None)

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
            loss=drawn.loss if self._chooses_loss else self._scoring.loss_name,
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
            self.configured(epochs=epochs),
            self._data,
            self._scoring,
            self.trained_with,
            self._step,
            self._teach,
        )

    def look(self, model: nn.Module, example: Inputs, recipe: Recipe) -> None:
        """Checks what the first model returns, before it is trained (see `first_look`)."""
        if not self._looked:
            usual = None if self._scoring.loss_code else self._data
            scores = self._scoring.scores
            chosen = possible(self.recipe, "loss") if self._chooses_loss else ()
            trained = [self.trained_with(replace(recipe, loss=loss)) for loss in chosen]
            first_look(model, self.feed(), recipe, self.loss, scores, example, usual, trained)
            if self._teach is not None:
                self._teach(self.feed(), recipe.precision).look(model, self.feed(), recipe)
            self._looked = True

    def score_again(self, model: nn.Module, recipe: Recipe) -> dict[str, float]:
        """The scores of a trained model on the validation part."""
        return self.loop(model, recipe, lambda: None).score()

    def loop(self, model: nn.Module, recipe: Recipe, give_way: Callable[[], None]) -> TrainingLoop:
        """The training of a model with this data and loss, on this device."""
        losses, scores = (self.loss, self.trained_with(recipe)), self._scoring.scores
        return TrainingLoop(model, self.feed(), recipe, *losses, scores, give_way, self._teach)

    def trained_with(self, recipe: Recipe) -> Loss:
        """The loss of a recipe's training steps: its own, or that of this evaluator."""
        # Else the recipe has the name of this evaluator's loss, which may be any.
        recipe = recipe if self._chooses_loss else replace(recipe, loss="")
        return chosen_loss(recipe, self.loss, self._data)

    @property
    def _chooses_loss(self) -> bool:
        """Whether the recipe names the loss that is trained with."""
        return possible(self.recipe, "loss") != ("",)

    def feed(self) -> Feed:
        """The batches of training and validation part, on this device."""
        device = resolve_device(self.device)
        if device not in self._feeds:
            self._feeds[device] = feed_of(self._data, device, self._step)
        return self._feeds[device]
