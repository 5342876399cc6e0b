"""Trains the relaxed network of a study: once, in one process (part of `relaxed`)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from optnas.errors import InputError, with_place
from optnas.evaluators.abilities import training_of
from optnas.evaluators.base import Evaluator
from optnas.evaluators.checkpoint import FILE, Checkpoint
from optnas.evaluators.epoch_report import Report
from optnas.evaluators.once import locked, train_to_the_end
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.relaxed.costs import Counter, has_table
from optnas.evaluators.relaxed.halves import halved, halves
from optnas.evaluators.relaxed.networks import nothing_to_relax, relaxed_network
from optnas.evaluators.relaxed.training import RelaxedTraining
from optnas.evaluators.training import TrainingEvaluator
from optnas.metrics import Metric
from optnas.samplers.gradient import Relaxed, RelaxedSettings
from optnas.search_spaces import RelaxedTrial, SearchSpace
from optnas.search_spaces.choice import mixtures
from optnas.search_spaces.mixture import Mixture
from optnas.utils.random_state import seeded
from optnas.utils.silent import silent

WHAT = "the relaxed network"
KEPT = (
    "batch_size",
    "max_grad_norm",
    "label_smoothing",
    "flip",
    "shift",
    "cutout",
    "mixup",
    "loss",
    "head_weights",
)
"""The settings of the evaluator's recipe that train the relaxed network, too."""
DRAFTS = 20
"""The number of networks that are drawn in search of something to relax."""

log = logging.getLogger("optnas")


class Relaxation:
    """Trains relaxed networks for a `GradientSampler`.

    Args:
        space: The search space.
        evaluator: A TrainingEvaluator, or one that stands in for it: has data, loss and device.
        objectives: Names of scores and metrics.
        metrics: Those of the objective.
        folder: Keeps checkpoints; None keeps none.
    """

    def __init__(
        self,
        space: SearchSpace[Any],
        evaluator: Evaluator,
        objectives: Sequence[str],
        metrics: Sequence[Metric],
        folder: Path | None,
    ) -> None:
        self._space, self._evaluator = space, evaluator
        measured = {metric.name: metric for metric in metrics}
        own = [measured[name] for name in objectives if name in measured]
        self._metrics = [metric for metric in own if has_table(metric)]
        self._ignored = tuple(m.name for m in own if not has_table(m))
        self._scored = any(name not in measured for name in objectives)
        self._folder = folder

    def names(self, settings: RelaxedSettings, seed: int) -> Mapping[str, str]:
        """See `optnas.samplers.gradient.Trainer`."""
        training = training_of(self._evaluator)
        data = {k: str(v) for k, v in training.fingerprint.items()}
        for unused in ("scores", "epoch", "epochs"):
            data.pop(unused, None)
        return {
            **settings.fingerprint,
            **{f"evaluator {k}": v for k, v in data.items()},
            "minimised": ", ".join(("loss", *(m.name for m in self._metrics))),
            "space": self._space.fingerprint,
            "code of the space": self._space.code,
            "training seed": str(seed),
        }

    def train(
        self,
        settings: RelaxedSettings,
        seed: int,
        report: Callable[[str], None] | None,
        stopped: Callable[[], bool] | None,
        done: Callable[[], Relaxed | None],
        keep: Callable[[Relaxed], None],
    ) -> None:
        """See `optnas.samplers.gradient.Trainer`.

        Raises:
            InputError: The space or the evaluator can't be trained so, or the folder can't be used.
            StoppedError: It was stopped; the next call resumes it.
        """
        check_relaxable(self._space, self._evaluator)
        report, stopped = report or log.info, stopped or (lambda: False)
        names = dict(self.names(settings, seed))
        if self._ignored:
            report(
                f"{WHAT} isn't told of {', '.join(self._ignored)}: it knows the loss, params, "
                "macs, flops and latency"
            )
        if self._folder is None:
            keep(self._trained(settings, seed, names, None, report, stopped))
            return
        identity = hashlib.sha256(repr(sorted(names.items())).encode()).hexdigest()[:12]
        folder = self._folder / f"relaxed-{identity}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder, WHAT, report, stopped):
                if done() is None:
                    keep(self._trained(settings, seed, names, folder, report, stopped))
                (folder / FILE).unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"{WHAT} can't be kept in {folder}: {error}") from error

    def _trained(
        self,
        settings: RelaxedSettings,
        seed: int,
        names: dict[str, str],
        folder: Path | None,
        report: Callable[[str], None],
        stopped: Callable[[], bool],
    ) -> Relaxed:
        training = self._training(settings, seed)
        checkpoint = Checkpoint(Report(folder=folder), training, names)
        train_to_the_end(training, checkpoint, seed % 2**32, WHAT, report, stopped)
        checkpoint.save(now=True)  # a process that is killed from here on trains no step again
        with seeded(seed % 2**32):
            proposals = training.proposals()
        return Relaxed(
            names,
            ("loss", *(metric.name for metric in self._metrics)),
            proposals,
            training.epochs,
            training.ended,
            self._ignored,
        )

    def _training(self, settings: RelaxedSettings, seed: int) -> RelaxedTraining:
        training = training_of(self._evaluator)
        assert isinstance(training, TrainingEvaluator)  # since check_relaxable
        own = training.recipe if isinstance(training.recipe, Recipe) else Recipe()
        kept = {name: getattr(own, name) for name in KEPT}
        recipe = replace(
            Recipe(learning_rate=settings.learning_rate, **kept), precision=training.precision
        )
        return RelaxedTraining(
            self._space,
            halves(training, seed),
            recipe,
            training.trained_with(recipe),
            settings,
            Counter(self._metrics),
            seed=seed,
            look=partial(training.look, example=self._space.example_inputs, recipe=recipe),
        )


def check_relaxable(space: SearchSpace[Any], evaluator: Evaluator) -> None:
    """Raises InputError unless gradients can choose in a space, with an evaluator."""
    training = training_of(evaluator)
    if not isinstance(training, TrainingEvaluator):
        raise InputError(
            f"a GradientSampler trains a network of all operations, and a "
            f"{type(evaluator).__name__} has no training that optnas could do that with: give a "
            "TrainingEvaluator, or take another sampler (evolution, predictor)"
        )
    halved(training)
    fault: Exception | None = None
    for seed in range(DRAFTS):
        trial = RelaxedTrial({}, Random(seed), Mixture())
        try:
            with seeded(0), silent():
                model = relaxed_network(space, trial)
        except InputError:
            raise
        except Exception as error:  # this size has no network; another may
            fault = error
            continue
        if mixtures(model):
            return
    if fault is None:
        raise InputError(nothing_to_relax(space))
    raise InputError(
        f"none of {DRAFTS} relaxed networks of {space!r} can be built ({with_place(fault)}): in a "
        "relaxed network `optnas.choose` makes all operations, so what it draws is no parameter "
        "of the trial; any other sampler takes the space as it is"
    ) from fault
