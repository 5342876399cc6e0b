"""The final training of a chosen network, with its scores on the test part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from optuna.trial import BaseTrial
from torch import nn

from optnas.candidate import Candidate
from optnas.datasets.dataset import Dataset, Loaders
from optnas.devices.device import resolve_device
from optnas.errors import InputError
from optnas.evaluators.abilities import TEST, Rescoring
from optnas.evaluators.base import Evaluator
from optnas.evaluators.distillation import Teacher
from optnas.evaluators.epoch_report import Report
from optnas.evaluators.feed import ArrayFeed, Feed, LoaderFeed
from optnas.evaluators.first_look import first_look
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.scoring import Scoring
from optnas.evaluators.step import OwnStep
from optnas.evaluators.training_loop import TrainingLoop
from optnas.evaluators.training_loss import Loss
from optnas.evaluators.training_run import training_run
from optnas.study.objectives import Direction
from optnas.utils.inputs import Inputs, join_inputs


class RetrainingEvaluator(Evaluator, Rescoring):
    """Trains on the training and validation parts together, and scores on the test part.

    The test part is scored once, after the last epoch, so that nothing can be chosen by it: neither
    an epoch, nor when to stop. The network has the weights of the last epoch, also where the search
    took those of the best one: choosing needs a validation part, and that is trained on here.

    Scores are those of the search, named `test_loss`, `test_accuracy` and so on. They are computed
    in float32, the precision of the weights that are kept, whatever precision the network was
    trained in. After each epoch the mean loss of its steps is reported as `train_loss`.

    Args:
        search: The evaluator that scored the trial: recipe, epochs and device are taken from it.
        data: Its data.
        scoring: Its loss and further scores.
        trained_with: The loss of a recipe's training steps.
        step: Its step, if it has one of the user's.
        teach: Makes its teacher, if it has one.

    Raises:
        InputError: There is no test part.
    """

    def __init__(
        self,
        search: Evaluator,
        data: Dataset | Loaders,
        scoring: Scoring,
        trained_with: Callable[[Recipe], Loss],
        step: OwnStep | None = None,
        teach: Callable[[Feed, str], Teacher] | None = None,
    ) -> None:
        _check_parts(data)
        self._search = search
        self._data = data
        self._loss = scoring.loss
        self._trained_with = trained_with
        self._step = step
        self._teach = teach
        self._usual = None if scoring.loss_code else data
        self._names = names_on_test(search.provides)
        self._scores = {self._names[name]: score for name, score in scoring.scores.items()}
        self.device = search.device

    def __repr__(self) -> str:
        return f"RetrainingEvaluator({self._search!r})"

    @property
    def provides(self) -> Mapping[str, Direction]:
        """The search's scores, with `test` in their names."""
        return {self._names[name]: d for name, d in self._search.provides.items()}

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The search's, with the test part, and without settings that have no meaning here."""
        found = dict(self._search.fingerprint) | {"data": self._data.retraining_fingerprint}
        del found["epoch"]
        return found

    def suggest(self, trial: BaseTrial) -> Recipe:
        """The recipe that the trial drew, for these parts of the data."""
        recipe = self._search.suggest(trial)
        assert isinstance(recipe, Recipe)
        return replace(recipe, data=self._data.retraining_fingerprint)

    def evaluate(self, candidate: Candidate, recipe: Recipe, report: Report) -> dict[str, float]:
        """Trains `candidate.model` in place and leaves it in evaluation mode.

        Raises:
            CandidateError: A loss became NaN or infinite.
            InputError: The test part doesn't fit the model, as a token that it has no vector for.
        """
        feed = self._feed()

        def make() -> TrainingLoop:
            return self._loop(candidate.model, feed, recipe, report.give_way)

        with training_run(candidate, recipe, report, self.fingerprint, make) as (loop, epochs):
            # Not after hours of training.
            self._look(loop.model, feed, candidate.example_inputs, recipe)
            for epoch in epochs:
                report(epoch, {"train_loss": loop.train_epoch()})
            return self._scored(loop)

    def score_again(self, model: nn.Module, recipe: Recipe) -> dict[str, float]:
        """The scores of a trained model on the test part."""
        return self._scored(self._loop(model, self._feed(), recipe, lambda: None))

    def _scored(self, loop: TrainingLoop) -> dict[str, float]:
        return loop.score(self._names["val_loss"], autocast=False)

    def _look(self, model: nn.Module, feed: Feed, example: Inputs, recipe: Recipe) -> None:
        in_float32 = replace(recipe, precision="float32")
        losses = self._loss, self._scores
        first_look(model, feed, in_float32, *losses, example, self._usual, warns=False)

    def _loop(
        self, model: nn.Module, feed: Feed, recipe: Recipe, give_way: Callable[[], None]
    ) -> TrainingLoop:
        losses = self._loss, self._trained_with(recipe)
        return TrainingLoop(model, feed, recipe, *losses, self._scores, give_way, self._teach)

    def _feed(self) -> Feed:
        data, device = self._data, resolve_device(self.device or "auto")
        if isinstance(data, Dataset):
            x = join_inputs(data.train[0], data.val[0])
            y = torch.cat((data.train[1], data.val[1]))
            return ArrayFeed((x, y), data.test, device, self._step)
        assert data.train_val is not None
        assert data.test is not None
        return LoaderFeed(data.train_val, data.test, device, self._step)


def names_on_test(names: Iterable[str]) -> dict[str, str]:
    """The names of the search's scores on the test part: `val_loss` becomes `test_loss`."""
    found = {name: f"{TEST}{name.removeprefix('val_')}" for name in names}
    taken = list(found.values())
    # An evaluator may have both a `val_f1` and an `f1`.
    return {n: t if taken.count(t) == 1 else f"{TEST}{n}" for n, t in found.items()}


def _check_parts(data: Dataset | Loaders) -> None:
    if isinstance(data, Loaders) and (data.train_val is None or data.test is None):
        raise InputError(
            f"the Loaders {data.name!r} have no parts to retrain a network on: give them "
            "Loaders(…, train_val=…, test=…), the examples of training and validation together, "
            "and those that the search never saw"
        )
    if isinstance(data, Dataset) and not len(data.test[1]):
        raise InputError(f"the data {data.name!r} has no examples in its test part: split it anew")
