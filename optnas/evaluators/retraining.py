"""The training of a chosen network for good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from optuna.trial import BaseTrial

from optnas.candidate import Candidate
from optnas.datasets.dataset import Dataset, Loaders
from optnas.devices.device import repeatable, resolve_device
from optnas.errors import InputError
from optnas.evaluators.base import Evaluator, Report
from optnas.evaluators.checkpoint import Checkpoint
from optnas.evaluators.feed import ArrayFeed, Feed, LoaderFeed
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.training_loop import Loss, Score, TrainingLoop
from optnas.study.objectives import Direction
from optnas.utils.inputs import Inputs
from optnas.utils.seeds import seeded


class RetrainingEvaluator(Evaluator):
    """Trains on the training and validation parts together, and scores on the test part.

    The test part is looked at once, after the last epoch, so that nothing can be chosen by it: not
    an epoch, not when to stop. The last epoch's weights are the network, also where the search took
    those of the best one: that takes a validation part, which is trained on here.

    Scores: those of the search, as `test_loss`, `test_accuracy` and so on. They are those of the
    network in float32, as it is taken home, whatever precision it was trained in. After each epoch
    the mean loss of its steps is reported as `train_loss`.

    Args:
        search: The evaluator that the trial was judged by: recipe, epochs and device are its own.
        data: Its data.
        loss: Its loss.
        scores: Its further scores.

    Raises:
        InputError: There is no test part.
    """

    def __init__(
        self,
        search: Evaluator,
        data: Dataset | Loaders,
        loss: Loss,
        scores: Mapping[str, Score],
    ) -> None:
        _check_parts(data)
        self._search = search
        self._data = data
        self._loss = loss
        self._names = names_on_test(search.provides)
        self._scores = {self._names[name]: score for name, score in scores.items()}
        self.device = search.device

    @property
    def provides(self) -> Mapping[str, Direction]:
        """The search's scores, with names that say `test`."""
        return {self._names[name]: d for name, d in self._search.provides.items()}

    @property
    def data(self) -> Dataset | Loaders:
        """The search's."""
        return self._data

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The search's, with the test part and without what has no meaning here."""
        found = self._search.fingerprint | {"data": self._data.retraining_fingerprint}
        del found["epoch"]
        return found

    def check_inputs(self, example_inputs: Inputs) -> None:
        """The search's."""
        self._search.check_inputs(example_inputs)

    def suggest(self, trial: BaseTrial) -> Recipe:
        """The recipe that the trial drew, for these parts of the data."""
        recipe = self._search.suggest(trial)
        assert isinstance(recipe, Recipe)
        return replace(recipe, data=self._data.retraining_fingerprint)

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
        feed = self._feed(resolve_device(self.device))
        with seeded(candidate.seed + recipe.seed), repeatable():
            loop = TrainingLoop(
                candidate.model, feed, recipe, self._loss, self._scores, report.give_way
            )
            checkpoint = Checkpoint(report, loop, names)
            checkpoint.load()
            for epoch in range(loop.epoch, recipe.epochs):
                checkpoint.save()
                report(epoch, {"train_loss": loop.train_epoch()})
            return loop.score(self._names["val_loss"], autocast=False)

    def _feed(self, device: torch.device) -> Feed:
        data = self._data
        if isinstance(data, Dataset):
            x, y = (torch.cat(tensors) for tensors in zip(data.train, data.val, strict=True))
            return ArrayFeed((x, y), data.test, device)
        assert data.train_val is not None
        assert data.test is not None
        return LoaderFeed(data.train_val, data.test, device)


def names_on_test(names: Iterable[str]) -> dict[str, str]:
    """What scores of the search are called on the test part: `val_loss` becomes `test_loss`."""
    found = {name: f"test_{name.removeprefix('val_')}" for name in names}
    taken = list(found.values())
    # Where somebody has both a `val_f1` and an `f1`.
    return {n: t if taken.count(t) == 1 else f"test_{n}" for n, t in found.items()}


def _check_parts(data: Dataset | Loaders) -> None:
    if isinstance(data, Loaders) and (data.train_val is None or data.test is None):
        raise InputError(
            f"the Loaders {data.name!r} have no parts to retrain a network on: give them "
            "Loaders(…, train_val=…, test=…), the examples of training and validation together, "
            "and those that the search never saw"
        )
    if isinstance(data, Dataset) and not len(data.test[0]):
        raise InputError(f"the data {data.name!r} has no examples in its test part: split it anew")
