"""Scores of networks that aren't trained one by one: they inherit weights that all share."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from optuna.trial import BaseTrial

from optnas.candidate import Candidate
from optnas.datasets.dataset import Dataset, Loaders
from optnas.devices.device import repeatable
from optnas.errors import InputError
from optnas.evaluators.base import Evaluator, Report
from optnas.evaluators.calibration import Calibration
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.retraining import RetrainingEvaluator
from optnas.evaluators.supernet import Supernet
from optnas.evaluators.supernet_folder import kept
from optnas.evaluators.supernet_training import SupernetTraining
from optnas.evaluators.training import TrainingEvaluator
from optnas.metrics.base import check_counts
from optnas.search_spaces import SearchSpace
from optnas.study.attributes import SHARED
from optnas.study.objectives import Direction
from optnas.utils.inputs import Inputs
from optnas.utils.seeds import seeded

TRAININGS = 16
"""What the supernet's training costs by default, in trainings of a single network."""
log = logging.getLogger("optnas")


class SharedWeightsEvaluator(Evaluator):
    """Scores networks with weights that all networks of the search space share.

    One tensor for each parameter name, at the largest shape that was seen, is trained once (the
    *supernet*: ENAS, Pham et al., ICML 2018, arXiv 1802.03268; trained as in Guo et al., see
    `supernet_training`). A network's parameters are slices of these tensors: leading channels, the
    middle of kernels. So any space will do, a `FunctionSpace` too, and nobody writes a supernet.
    The score of a network is what it reaches on the validation part with the slices it inherits,
    the statistics of its normalisation layers taken anew from 128 training examples. That costs two
    passes through the network.

    Scores have the names of those they stand in for, and rank networks; their values are worse
    than those after training. `optnas confirm` trains the front's members for real.

    Parameters share a tensor if they have the same name, their modules are of one type, and, for
    convolutions, have as many groups (any two depthwise ones share). Parameters that no network had
    in training keep their initial values, and the detail `shared_weights` of the trial names them.

    In a `Search`, the supernet lies beside the study in `NAME_shared`, is trained by the first
    process that needs it while others wait, and goes on from its last checkpoint if that is
    killed. In an `Objective` of your own it lies in the folder `shared`, or in memory.

    Args:
        training: How a network is trained for real: its data, loss, scores and precision are taken
            from here, and `optnas confirm` and `optnas retrain` use it as it is.
        steps: Steps of the supernet's training; by default as many as cost about as much as 16
            trainings of one network.
        networks: Networks that each step trains.
        recipe: How the supernet is trained.
        sandwich: Whether each step trains the largest and the smallest network (all that is ordered
            at its end) among the others.
        finetune_epochs: Passes over the training part with which each network trains on from what
            it inherits, by the recipe of `training`.

    Attributes:
        steps: As given, and so is the next one.
        recipe: How the supernet is trained.

    Raises:
        TypeError: `training` is no TrainingEvaluator.
        ValueError: Its recipe is searched, or a number is out of range.
    """

    def __init__(
        self,
        training: TrainingEvaluator,
        steps: int | None = None,
        *,
        networks: int = 1,
        recipe: Recipe | None = None,
        sandwich: bool = False,
        finetune_epochs: int = 0,
    ) -> None:
        if not isinstance(training, TrainingEvaluator):
            raise TypeError(f"training must be a TrainingEvaluator, got {training!r}")
        if not isinstance(training.recipe, Recipe):
            raise ValueError(
                "networks that share weights share one recipe: give the TrainingEvaluator a Recipe "
                "in place of the RecipeSpace"
            )
        check_counts(networks=networks, **({} if steps is None else {"steps": steps}))
        if sandwich and networks < 3:
            raise ValueError(f"the sandwich rule trains 3 networks a step or more, got {networks}")
        if not isinstance(finetune_epochs, int) or finetune_epochs < 0:
            raise ValueError(f"finetune_epochs must be at least 0, got {finetune_epochs!r}")
        self._training = training
        self.device = training.device
        self.steps = steps
        self._networks = networks
        self.recipe = Recipe(learning_rate=0.01) if recipe is None else recipe
        if isinstance(training.data, Loaders) and self.recipe.batch_size is not None:
            raise ValueError("batch_size is the DataLoader's own: leave it out of the recipe")
        self._sandwich = sandwich
        self._finetune_epochs = finetune_epochs
        self._space: SearchSpace[Any] | None = None
        self._folder: Path | None = None
        self._ready: _Ready | None = None

    @property
    def real(self) -> TrainingEvaluator:
        """What trains a network for real."""
        return self._training

    @property
    def provides(self) -> Mapping[str, Direction]:
        """Those of the training."""
        return self._training.provides

    @property
    def data(self) -> Dataset | Loaders:
        """That of the training."""
        return self._training.data

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The training's, and the settings of the supernet."""
        return self._training.fingerprint | {
            "steps": self.steps or f"as {TRAININGS} trainings",
            "networks": self._networks,
            "shared recipe": repr(self.recipe),
            "sandwich": self._sandwich,
            "finetune_epochs": self._finetune_epochs,
        }

    def check_inputs(self, example_inputs: Inputs) -> None:
        """That of the training."""
        self._training.check_inputs(example_inputs)

    def configured(
        self, *, device: str | None = None, epochs: int | None = None
    ) -> SharedWeightsEvaluator:
        """This evaluator with another device, or with other epochs of a training for real."""
        return self._with(_training=self._training.configured(device=device, epochs=epochs))

    def bind(self, space: SearchSpace[Any], folder: Path | None) -> SharedWeightsEvaluator:
        """This evaluator for a space, with a folder for its supernet."""
        return self._with(_space=space, _folder=folder)

    def _with(self, **settings: Any) -> SharedWeightsEvaluator:
        evaluator = copy(self)
        vars(evaluator).update(settings, _ready=None)
        evaluator.device = evaluator._training.device
        return evaluator

    def retraining(self, epochs: int | None = None) -> RetrainingEvaluator:
        """That of the training."""
        return self._training.retraining(epochs)

    def suggest(self, trial: BaseTrial) -> Recipe:
        """The recipe of the training, with the epochs that a network trains on."""
        return replace(self._training.suggest(trial), epochs=self._finetune_epochs)

    def prepare(
        self, say: Callable[[str], None] | None = None, stopped: Callable[[], bool] | None = None
    ) -> str:
        """Trains the supernet, or reads it.

        Raises:
            InputError: It can't be trained or kept.
            StoppedError: It was given up; it goes on from there the next time.
        """
        if self._ready is None:
            training = self._supernet_training()
            names = self._names()
            identity = hashlib.sha256(repr(sorted(names.items())).encode()).hexdigest()[:12]
            folder = self._folder and self._folder / identity
            seed = self.recipe.seed
            supernet = kept(training, seed, folder, names, say or log.info, stopped or _never)
            feed = self._training.feed()
            with seeded(seed):
                calibration = Calibration(feed)
            self._ready = _Ready(supernet.to(feed.device), supernet.digest, calibration)
        return self._ready.digest

    def evaluate(self, candidate: Candidate, recipe: Recipe, report: Report) -> dict[str, float]:
        """Gives `candidate.model` its shared weights, and scores it; trains it on, if asked to.

        Raises:
            CandidateError: A loss is NaN or infinite.
        """
        self.prepare()
        assert self._ready is not None
        with seeded(candidate.seed + recipe.seed), repeatable():
            loop = self._training.loop(candidate.model, recipe, report.give_way)
            untrained = self._ready.supernet.load_into(loop.model)
            candidate.details[SHARED] = {"weights": self._ready.digest, "untrained": untrained}
            self._ready.calibration.apply(loop.model, recipe)
            scores = loop.score()
            for epoch in range(recipe.epochs):
                loop.train_epoch()
                self._ready.calibration.apply(loop.model, recipe)
                scores = loop.score()
                report(epoch, scores)
        return scores

    def _supernet_training(self) -> SupernetTraining:
        if self._space is None:
            raise InputError(
                "a SharedWeightsEvaluator has to know the search space before it evaluates: give "
                "it to a Search or an Objective, or call `bind(space, None)`"
            )
        feed = self._training.feed()
        recipe = replace(self.recipe, precision=self._training.precision)
        steps = self.steps
        if steps is None:
            examples = TRAININGS * self._training.epochs * feed.steps(recipe.batch_size)
            steps = max(examples // self._networks, 1)
        return SupernetTraining(
            self._space,
            feed,
            recipe,
            self._training.loss,
            steps=steps,
            networks=self._networks,
            sandwich=self._sandwich,
        )

    def _names(self) -> dict[str, str]:
        """What decides the shared weights."""
        assert self._space is not None
        found = {name: str(value) for name, value in self.fingerprint.items()}
        for unused in ("recipe", "scores", "epoch", "finetune_epochs"):
            del found[unused]
        if self.steps is not None:
            del found["epochs"]
        return found | {"space": self._space.fingerprint, "code": self._space.code}


class _Ready(NamedTuple):
    """What an evaluation needs: the shared weights, and their hash."""

    supernet: Supernet
    digest: str
    calibration: Calibration


def _never() -> bool:
    return False
