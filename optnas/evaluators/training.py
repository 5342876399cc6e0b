"""Training from scratch, as fast as small networks allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from typing import Any, Literal, get_args

import torch
from optuna.trial import BaseTrial
from torch import Tensor, nn

from optnas.candidate import Candidate
from optnas.datasets.dataset import Dataset, Loaders
from optnas.datasets.losses import accuracy, standard_loss
from optnas.devices.device import repeatable, resolve_device
from optnas.errors import InputError
from optnas.evaluators.base import Evaluator, Report
from optnas.evaluators.checkpoint import Checkpoint
from optnas.evaluators.feed import ArrayFeed, Feed, LoaderFeed
from optnas.evaluators.function import check_directions
from optnas.evaluators.recipe import Recipe, RecipeSpace
from optnas.evaluators.retraining import RetrainingEvaluator
from optnas.evaluators.training_loop import Loss, Score, TrainingLoop
from optnas.study.objectives import Direction
from optnas.utils.code_hash import code_hash
from optnas.utils.inputs import Inputs
from optnas.utils.seeds import seeded

Precision = Literal["float32", "bfloat16"]
Epoch = Literal["last", "best"]


class TrainingEvaluator(Evaluator):
    """Trains a candidate on the training part and scores it on the validation part.

    Scores: `val_loss`; for classification `val_accuracy`; those in `scores`. Cross-entropy is
    the loss for classification, the mean squared error for regression.

    The scores are those after the last epoch by default. The learning rate has fallen to zero
    there, so it is a good epoch; and taking the best of many epochs instead would choose on the
    noise of the validation part and report the luckier networks as better ones.

    Arrays lie on the device from the start; there is no DataLoader in the inner loop, and no step
    waits for the device. A last batch of a single example is left out, because batch
    normalisation can't train on it.

    In the report's folder it keeps a checkpoint, at most every 5 seconds and for at most 5 % of the
    time. The trial that repeats a lost one goes on from there and ends with the scores and weights
    it would have had: bit by bit on a CPU, and on a GPU where the model's operations repeat
    themselves (convolutions do here; PyTorch lists what doesn't under
    `torch.use_deterministic_algorithms`). What a model changes besides its `state_dict` is lost.
    With `Loaders` that is so only where order and augmentation are drawn from the global generators
    (torch's, NumPy's or random's): a DataLoader's own `generator`, and what its dataset or
    persistent workers remember, begin anew.

    Args:
        data: A `Dataset`, or a person's own DataLoaders as `Loaders`.
        epochs: Passes over the training part.
        recipe: A fixed `Recipe`, or a `RecipeSpace` to search some of its settings.
        loss: `loss(outputs, targets)`, a tensor of one element, instead of the usual one.
        scores: Further scores by name: a function of the outputs for the whole validation part
            and its targets, and its direction: `{"f1": (f1, "maximize")}`.
        precision: `float32`, or `bfloat16` (autocast, with the loss in float32).
        device: `auto` (CUDA, MPS or the CPU, whichever is there first), or a name.
        epoch: `last`, or `best`: the epoch of the least val_loss, scores and weights.

    Attributes:
        epochs: As given, and so are the next two.
        recipe: A `Recipe` or a `RecipeSpace`.
        precision: `float32` or `bfloat16`.
        loss: `loss(outputs, targets)`, a tensor of one element.

    Raises:
        TypeError: `data` or `recipe` is of another type.
        ValueError: A setting is out of range.
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
    ) -> None:
        recipe = Recipe() if recipe is None else recipe
        if not isinstance(data, (Dataset, Loaders)):
            raise TypeError(
                "data must be a Dataset (optnas.arrays(x, y)) or Loaders (optnas.Loaders(...)), "
                f"got {type(data).__name__}"
            )
        if not isinstance(recipe, (Recipe, RecipeSpace)):
            raise TypeError(f"recipe must be a Recipe or a RecipeSpace, got {recipe!r}")
        if isinstance(data, Loaders) and recipe.batch_size is not None:
            raise ValueError("batch_size is the DataLoader's own: leave it out of the recipe")
        if precision not in get_args(Precision):
            raise ValueError(f"precision must be float32 or bfloat16, got {precision!r}")
        if epoch not in get_args(Epoch):
            raise ValueError(f"epoch must be last or best, got {epoch!r}")
        self._data = data
        self.recipe = recipe
        self.precision = precision
        self._epoch = epoch
        self.device = device
        self._set_epochs(epochs)
        self._loss_name = getattr(loss, "__qualname__", repr(loss)) if loss else ""
        self.loss = loss or standard_loss(data)
        self._scores: dict[str, Score] = {}
        self._provides: dict[str, Direction] = {"val_loss": "minimize"}
        if data.task == "classification":
            self._scores["val_accuracy"] = accuracy
            self._provides["val_accuracy"] = "maximize"
        if scores:
            self._scores |= {name: function for name, (function, _) in scores.items()}
            self._provides |= check_directions("scores", {n: d for n, (_, d) in scores.items()})
        self._feeds: dict[torch.device, Feed] = {}

    def _set_epochs(self, epochs: int) -> None:
        if epochs < 1:
            raise InputError(f"epochs must be at least 1, got {epochs}")
        self.epochs = epochs

    @property
    def provides(self) -> Mapping[str, Direction]:
        """`val_loss`, `val_accuracy` for classification, and the scores that were given."""
        return self._provides

    @property
    def data(self) -> Dataset | Loaders:
        """What was given."""
        return self._data

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Data and split, epochs, recipe, loss, precision, and which epoch counts."""
        return {
            "data": self._data.fingerprint,
            "epochs": self.epochs,
            "recipe": repr(self.recipe),
            "loss": f"{self._loss_name} {code_hash(self.loss)}" if self._loss_name else "standard",
            "scores": ", ".join(
                f"{name} ({self._provides[name]}) {code_hash(score)}"
                for name, score in self._scores.items()
                if name != "val_accuracy"
            ),
            "precision": self.precision,
            "epoch": self._epoch,
        }

    def configured(
        self, *, device: str | None = None, epochs: int | None = None
    ) -> TrainingEvaluator:
        """This evaluator with another device or number of epochs."""
        evaluator = copy(self)
        if device is not None:
            evaluator.device = device
        if epochs is not None:
            evaluator._set_epochs(epochs)
        return evaluator

    def check_inputs(self, example_inputs: Inputs) -> None:
        """Raises ValueError unless a tensor has the shape of the data's examples."""
        if isinstance(self._data, Dataset) and isinstance(example_inputs, Tensor):
            shape = tuple(example_inputs.shape)
            if shape != (1, *self._data.input_shape):
                raise ValueError(
                    f"the search space takes inputs of shape {shape}, one example of "
                    f"{self._data.name} with its batch dimension has (1, "
                    f"{', '.join(map(str, self._data.input_shape))})"
                )

    def suggest(self, trial: BaseTrial) -> Recipe:
        """The recipe, with what is searched drawn from the trial."""
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
        """
        names = {
            "architecture": str(candidate),
            "recipe": str(recipe),
            "seed": str(candidate.seed),
            "evaluator": str(self.fingerprint),
        }
        scores: dict[str, float] = {}
        with seeded(candidate.seed + recipe.seed), repeatable():
            loop = self.loop(candidate.model, recipe, report.give_way)
            checkpoint = Checkpoint(report, loop, names)
            checkpoint.load()
            for epoch in range(loop.epoch, recipe.epochs):
                checkpoint.save()  # before the epoch, because after the last one none is needed
                loop.train_epoch()
                scores = loop.score()
                if self._epoch == "best":
                    loop.keep_best(scores)
                report(epoch, scores)
            return loop.take_best() if self._epoch == "best" else scores

    def retraining(self, epochs: int | None = None) -> RetrainingEvaluator:
        """Trains a chosen network on all but the test part, and scores it there once.

        Raises:
            InputError: The data has no test part.
        """
        return RetrainingEvaluator(
            self.configured(epochs=epochs), self._data, self.loss, self._scores
        )

    def loop(self, model: nn.Module, recipe: Recipe, give_way: Callable[[], None]) -> TrainingLoop:
        """The training of a model with this data and loss, on this device."""
        return TrainingLoop(model, self.feed(), recipe, self.loss, self._scores, give_way)

    def feed(self) -> Feed:
        """The batches, on the device."""
        device = resolve_device(self.device)
        if device not in self._feeds:
            data = self._data
            self._feeds[device] = (
                ArrayFeed(data.train, data.val, device)
                if isinstance(data, Dataset)
                else LoaderFeed(data.train, data.val, device)
            )
        return self._feeds[device]
