"""Times the training of one network from its first steps, without training it to the end."""

from __future__ import annotations

import statistics
import time
from itertools import pairwise
from typing import NamedTuple

import torch

from optnas.candidate import Candidate
from optnas.devices.device import synchronize
from optnas.evaluators.epoch_report import Report
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.training import TrainingEvaluator
from optnas.evaluators.training_loop import TrainingLoop
from optnas.evaluators.training_run import training_run

LIMIT = 4.0
"""Seconds for which a network is trained, and again scored, at most."""
LEAST = 3
"""A training isn't interrupted before this number of batches."""


class Rehearsal(NamedTuple):
    """How long the training of a network takes, from its first steps.

    Attributes:
        batches: The number of batches that were timed.
        batch_seconds: The median time of a training step on one batch.
        epoch_seconds: That of all batches of the training part.
        scoring_seconds: The time of one scoring on the validation part; None if it takes longer
            than `LIMIT`.
        epochs: The number of epochs.
    """

    batches: int
    batch_seconds: float
    epoch_seconds: float
    scoring_seconds: float | None
    epochs: int

    @property
    def seconds(self) -> float:
        """The time of the whole training, with a scoring after each epoch."""
        return self.epochs * (self.epoch_seconds + (self.scoring_seconds or 0.0))


def rehearse(evaluator: TrainingEvaluator, candidate: Candidate, recipe: Recipe) -> Rehearsal:
    """Checks data and recipe with a network, as before the first trial, and times its first epoch.

    The epoch is interrupted after 4 seconds, and so is the scoring. Nothing is written.

    Args:
        evaluator: The evaluator.
        candidate: Its model is trained in place.
        recipe: The recipe.

    Raises:
        CandidateError: The loss became NaN or infinite.
        InputError: Data, loss or recipe don't fit the model.
    """
    clock = _Clock()

    def make() -> TrainingLoop:
        return evaluator.loop(candidate.model, recipe, clock)

    with training_run(candidate, recipe, Report(), evaluator.fingerprint, make) as (loop, _):
        clock.device = loop.device
        evaluator.look(loop.model, candidate.example_inputs, recipe)
        clock.start()
        try:
            loop.train_epoch()
            clock()
        except _Enough:
            pass
        timed = clock.per_batch
        clock.start()
        scoring: float | None = None
        try:
            loop.score()
            scoring = clock.elapsed()
        except _Enough:
            pass
    step, batches = statistics.median(timed), evaluator.feed().steps(recipe.batch_size)
    return Rehearsal(len(timed), step, step * batches, scoring, recipe.epochs)


class _Enough(Exception):  # noqa: N818 - no error
    """Ends a training that has been timed for long enough."""


class _Clock:
    """Called before each batch; interrupts what it is called in once that was timed for long."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self._times: list[float] = []
        self._began = 0.0

    def start(self) -> None:
        self._times, self._began = [], self._now()

    def _now(self) -> float:
        synchronize(self.device)
        return time.perf_counter()

    def elapsed(self) -> float:
        return self._now() - self._began

    def __call__(self) -> None:
        self._times.append(self._now())
        # The first batch warms up, which may take long on a busy machine.
        if len(self._times) > LEAST and self._times[-1] - self._times[1] > LIMIT:
            raise _Enough

    @property
    def per_batch(self) -> list[float]:
        """The times of the batches, without the first one, which warms up, if there are others."""
        found = [end - begin for begin, end in pairwise(self._times)]
        return found[1:] or found
