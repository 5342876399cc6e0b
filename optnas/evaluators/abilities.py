"""What only some evaluators can do: small abstract classes, asked for by `isinstance`.

The functions below them are for code that has any evaluator: they return what it can do, or raise
an error that names the way out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from optnas.datasets.dataset import Dataset, Loaders
from optnas.errors import InputError
from optnas.evaluators.base import Evaluator
from optnas.search_spaces import SearchSpace


class Retrainable(ABC):
    """An evaluator that knows its data, so that a chosen network can have a final training."""

    @property
    @abstractmethod
    def data(self) -> Dataset | Loaders:
        """What networks are trained and scored on."""

    @abstractmethod
    def retraining(self, epochs: int | None = None) -> Evaluator:
        """The evaluator that trains a chosen network from scratch and scores it on the test part.

        No trial of the search has seen that part. The names of its scores begin with `test_`; its
        device is that of the search's evaluator.

        Args:
            epochs: In place of the search's.

        Raises:
            InputError: The data has no test part, or `epochs` is below 1.
        """


class Configurable(ABC):
    """An evaluator whose device and epochs the command line can change."""

    @abstractmethod
    def configured(self, *, device: str | None = None, epochs: int | None = None) -> Evaluator:
        """A copy of this evaluator with another device or number of epochs.

        Raises:
            InputError: A setting is out of range.
        """


class Prepared(ABC):
    """An evaluator that does some work once, before it evaluates the first network."""

    @abstractmethod
    def bind(self, space: SearchSpace[Any], folder: Path | None) -> Evaluator:
        """A copy of this evaluator for the networks of a space.

        Args:
            space: The search space.
            folder: May keep what all networks need; None keeps nothing.
        """

    @abstractmethod
    def prepare(
        self,
        report: Callable[[str], None] | None = None,
        stopped: Callable[[], bool] | None = None,
    ) -> str:
        """Does the work; returns at once if it is done.

        Args:
            report: Receives lines about the progress.
            stopped: Whether to interrupt the work.

        Returns:
            A hash of what all scores rest on.

        Raises:
            InputError: The work can't be done, or its result can't be kept.
            StoppedError: It was interrupted; the next call resumes it.
        """


class KnowsChance(ABC):
    """An evaluator that knows the scores of a prediction that ignores its input."""

    @property
    @abstractmethod
    def chance(self) -> Mapping[str, float]:
        """The scores of a constant prediction, by name; those that aren't known are left out."""


class Rescoring(ABC):
    """An evaluator that can score a trained network again, without training it.

    So it can be checked that the weights that were kept are those of the scores.
    """

    @abstractmethod
    def score_again(self, model: nn.Module, recipe: Any) -> Mapping[str, float]:
        """The scores of a trained network, named as in `provides`.

        Args:
            model: The network, which may be moved to a device.
            recipe: The recipe that it was trained with.
        """


class StandIn(ABC):
    """An evaluator whose scores stand in for those of a training that it can name."""

    @property
    @abstractmethod
    def training(self) -> Evaluator:
        """The evaluator that trains a network for real; its scores have the same names."""


def training_of(evaluator: Evaluator) -> Evaluator:
    """The evaluator itself, or the training that its scores stand in for."""
    return evaluator.training if isinstance(evaluator, StandIn) else evaluator


def data_of(evaluator: Evaluator) -> Dataset | Loaders | None:
    """What networks are trained and scored on; None if only the user's code knows."""
    return evaluator.data if isinstance(evaluator, Retrainable) else None


def chance_of(evaluator: Evaluator) -> Mapping[str, float]:
    """The scores of a constant prediction, by name; those that aren't known are left out."""
    return evaluator.chance if isinstance(evaluator, KnowsChance) else {}


def configured(
    evaluator: Evaluator, *, device: str | None = None, epochs: int | None = None
) -> Evaluator:
    """The evaluator with another device or number of epochs.

    An evaluator that isn't `Configurable` chooses its device itself, and stays as it is.

    Raises:
        InputError: It has no epochs to change, or a setting is out of range.
    """
    if isinstance(evaluator, Configurable):
        return evaluator.configured(device=device, epochs=epochs)
    if epochs is not None:
        raise InputError(
            f"epochs={epochs}: a {type(evaluator).__name__} decides on its epochs itself; change "
            "them in the study file"
        )
    return evaluator


def check_gives_weights(evaluator: Evaluator) -> None:
    """Raises InputError if networks don't get the weights that an evaluator has trained."""
    if not evaluator.gives_weights and not evaluator.estimates:
        raise InputError(
            f"no weights are kept in this study, because its {type(evaluator).__name__} doesn't "
            "say where they are: name the file that the command writes (`weights=`), and train the "
            "network again"
        )


def retraining_of(evaluator: Evaluator, epochs: int | None = None) -> Evaluator:
    """The evaluator that trains a chosen network from scratch and scores it on the test part.

    Args:
        evaluator: That of the search.
        epochs: In place of the search's.

    Raises:
        InputError: There is none, or the data has no test part.
    """
    if isinstance(evaluator, Retrainable):
        return evaluator.retraining(epochs)
    raise InputError(
        f"a {type(evaluator).__name__} has no retraining"
        + (
            ": nothing is trained in this study, its scores are looked up"
            if evaluator.estimates
            else ": it alone knows its data; train the network with your own code "
            "(`objective.candidate(trial).model` is the trial's network, untrained), or derive "
            "the evaluator from optnas.evaluators.Retrainable too, with its `data` and `retraining`"
        )
    )
