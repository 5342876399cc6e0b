"""A candidate's training from its first epoch, or its checkpoint, to its last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from optnas.candidate import Candidate
from optnas.devices.device import repeatable
from optnas.evaluators.checkpoint import Checkpoint
from optnas.evaluators.epoch_report import Report
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.training_loop import TrainingLoop
from optnas.utils.random_state import seeded


@contextmanager
def training_run(
    candidate: Candidate,
    recipe: Recipe,
    report: Report,
    fingerprint: Mapping[str, Any],
    make: Callable[[], TrainingLoop],
) -> Iterator[tuple[TrainingLoop, Iterator[int]]]:
    """Runs a block under the candidate's seed, with its training and the epochs left to train.

    Args:
        candidate: The candidate.
        recipe: Its number of epochs, and a seed that is added to the candidate's.
        report: The block calls it after each epoch. Its folder holds the checkpoint.
        fingerprint: That of the evaluator: a checkpoint of other settings isn't used.
        make: Makes the training, under the seed.

    Yields:
        The training, resumed from its checkpoint if there is one, and the numbers of the epochs
        that remain. The block trains one each time it draws a number.
    """
    names = {
        "architecture": str(candidate),
        "recipe": str(recipe),
        "seed": str(candidate.seed),
        "evaluator": str(dict(fingerprint)),
    }
    with seeded(candidate.seed + recipe.seed), repeatable():
        loop = make()
        checkpoint = Checkpoint(report, loop, names)
        checkpoint.load()
        yield loop, _epochs(loop, recipe, checkpoint)


def _epochs(loop: TrainingLoop, recipe: Recipe, checkpoint: Checkpoint) -> Iterator[int]:
    for epoch in range(loop.epoch, recipe.epochs):
        checkpoint.save()  # before each epoch: after the last one, none is needed
        yield epoch
