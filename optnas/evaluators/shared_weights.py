"""Scores networks without training each: they inherit weights that all networks share."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from optuna.trial import BaseTrial

from optnas.candidate import Candidate
from optnas.datasets.dataset import Dataset, Loaders
from optnas.devices.device import repeatable
from optnas.errors import InputError
from optnas.evaluators.abilities import (
    Configurable,
    Exchanging,
    KnowsChance,
    KnowsData,
    Prepared,
    Retrainable,
    StandIn,
)
from optnas.evaluators.base import Evaluator
from optnas.evaluators.calibration import Calibration
from optnas.evaluators.epoch_report import Report
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.retraining import RetrainingEvaluator
from optnas.evaluators.supernet import Supernet
from optnas.evaluators.supernet_folder import trained_once
from optnas.evaluators.supernet_settings import SupernetSettings
from optnas.evaluators.supernet_training import SupernetTraining
from optnas.evaluators.training import TrainingEvaluator
from optnas.search_spaces import SearchSpace, SlimSpace
from optnas.storage.shared_files import SharedFiles
from optnas.study.attributes import SHARED
from optnas.study.objectives import Direction
from optnas.utils.random_state import seeded

log = logging.getLogger("optnas")


class SharedWeightsEvaluator(
    Evaluator, KnowsData, Retrainable, Configurable, KnowsChance, Prepared, Exchanging, StandIn
):
    """Scores networks with weights that all networks of the search space share.

    The *supernet* is one tensor for each parameter name, at the largest shape that any network has
    there. It is trained once (ENAS, Pham et al., ICML 2018, arXiv 1802.03268; trained as in Guo et
    al., see `supernet_training`). A network's parameters are slices of these tensors: leading
    channels, the middle of kernels. So every space will do, a `FunctionSpace` too, and you write no
    supernet. A network's score is what it reaches on the validation part with the slices it
    inherits, after the statistics of its normalisation layers were computed anew from 128 training
    examples. That costs two passes through the network.

    Scores have the names of those they stand in for. They rank networks; their values are worse
    than after training. `optnas confirm` trains the front's members for real.

    Parameters share a tensor if they have the same name, their modules are of one type, and, for
    convolutions, have the same number of groups (any two depthwise ones share). Parameters that no
    network had during the training keep their initial values, and the trial's detail
    `shared_weights` names them.

    A `Search` keeps the supernet next to the study, in `NAME_shared`. The first process that needs
    it trains it while others wait; if that process is killed, the next one resumes from the last
    checkpoint. Machines that share a PostgreSQL server share it through that, so that one of them
    trains it. An `Objective` of your own keeps it in the folder `shared`, or in memory.

    Example:
        ```python
        import optnas

        evaluator = optnas.SharedWeightsEvaluator(
            optnas.TrainingEvaluator(optnas.digits(), epochs=15), steps=200
        )
        ```

    Args:
        training: Trains a network for real. Its data, loss, scores and precision are used here, and
            `optnas confirm` and `optnas retrain` use it as it is. The supernet doesn't learn from
            the teacher of its distillation.
        steps: Steps of the supernet's training; by default they cost about as much as 16 trainings
            of one network.
        networks: Networks trained in each step.
        recipe: Trains the supernet; its `schedule`, `warmup`, `ema_decay`, `scheduler` and
            `accumulate` must be the defaults, and its optimizer one that has a name.
        sandwich: Whether each step trains the largest and the smallest network among the others:
            those that take the upper, or lower, end of every ordered choice.
        finetune_epochs: Passes over the training part that train each network further from what it
            inherits, by the recipe of `training`.

    Attributes:
        steps: As given.
        networks: As given.
        finetune_epochs: As given.
        recipe: Trains the supernet.

    Raises:
        TypeError: `training` is no TrainingEvaluator, or `recipe` is no Recipe.
        ValueError: The training's recipe is searched, `recipe` has a setting that the supernet's
            training doesn't take, or a number is out of range.
    """

    estimates: ClassVar[bool] = True

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
        given = {} if recipe is None else {"recipe": recipe}
        self._settings = SupernetSettings(steps, networks, sandwich=sandwich, **given)
        self.steps, self.networks, self.recipe = steps, networks, self._settings.recipe
        if not isinstance(finetune_epochs, int) or finetune_epochs < 0:
            raise ValueError(f"finetune_epochs must be at least 0, got {finetune_epochs!r}")
        training.check_recipe(self.recipe)
        self._training = training
        self.device = training.device
        self.finetune_epochs = finetune_epochs
        self._space: SearchSpace[Any] | None = None
        self._folder: Path | None = None
        self._files: SharedFiles | None = None
        self._ready: _Ready | None = None

    def __repr__(self) -> str:
        return f"SharedWeightsEvaluator({self._training!r}, steps={self.steps})"

    @property
    def training(self) -> TrainingEvaluator:
        """Trains a network for real."""
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
        found = self._training.fingerprint | self._settings.fingerprint
        return found | {"finetune_epochs": self.finetune_epochs}

    @property
    def chance(self) -> Mapping[str, float]:
        """That of the training."""
        return self._training.chance

    def configured(
        self, *, device: str | None = None, epochs: int | None = None
    ) -> SharedWeightsEvaluator:
        """A copy with another device, or with other epochs of a training for real."""
        return self._with(_training=self._training.configured(device=device, epochs=epochs))

    def bind(self, space: SearchSpace[Any], folder: Path | None) -> SharedWeightsEvaluator:
        """A copy for a space, with a folder for its supernet.

        Raises:
            InputError: Its networks begin with trained weights.
        """
        if isinstance(space, SlimSpace):
            raise InputError(
                "the networks of a SlimSpace begin with the trained weights of their own channels, "
                "and shared weights would take their place: give the TrainingEvaluator itself, "
                "with a few epochs"
            )
        return self._with(_space=space, _folder=folder)

    def exchanging(self, files: SharedFiles | None) -> SharedWeightsEvaluator:
        """A copy whose supernet is trained by one machine of those that share files."""
        return self._with(_files=files)

    def _with(self, **settings: Any) -> SharedWeightsEvaluator:
        evaluator = copy(self)
        vars(evaluator).update(settings, _ready=None)
        evaluator.device = evaluator._training.device
        return evaluator

    def retraining(self, epochs: int | None = None) -> RetrainingEvaluator:
        """That of the training."""
        return self._training.retraining(epochs)

    def suggest(self, trial: BaseTrial) -> Recipe:
        """The recipe of the training, with `finetune_epochs` as its epochs."""
        return replace(self._training.suggest(trial), epochs=self.finetune_epochs)

    def prepare(
        self,
        report: Callable[[str], None] | None = None,
        stopped: Callable[[], bool] | None = None,
    ) -> str:
        """Trains the supernet, or reads it; returns a hash of its weights.

        Raises:
            InputError: It can't be trained or kept.
            StoppedError: It was interrupted; the next call resumes it.
        """
        if self._ready is None:
            training = self._supernet_training()
            names = self._names()
            identity = hashlib.sha256(repr(sorted(names.items())).encode()).hexdigest()[:12]
            folder = self._folder and self._folder / identity
            seed = self.recipe.seed
            supernet = trained_once(
                training, seed, folder, names, report or log.info, stopped or _never, self._files
            )
            feed = self._training.feed()
            with seeded(seed):
                calibration = Calibration(feed)
            self._ready = _Ready(supernet.to(feed.device), supernet.digest, calibration)
        return self._ready.digest

    def evaluate(self, candidate: Candidate, recipe: Recipe, report: Report) -> dict[str, float]:
        """Gives `candidate.model` its shared weights, fine-tunes it if asked to, and scores it.

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
        return self._settings.training(self._training, self._space)

    def _names(self) -> dict[str, str]:
        """All that decides the shared weights."""
        assert self._space is not None
        found = {name: str(value) for name, value in self.fingerprint.items()}
        for unused in ("recipe", "scores", "epoch", "finetune_epochs", "distillation"):
            found.pop(unused, None)
        if self.steps is not None:
            del found["epochs"]
        return found | {"space": self._space.fingerprint, "code": self._space.code}


class _Ready(NamedTuple):
    """All that an evaluation needs: the shared weights, their hash, and the statistics' inputs."""

    supernet: Supernet
    digest: str
    calibration: Calibration


def _never() -> bool:
    return False
