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
from optnas.storage.shared_files import SharedFiles

TEST = "test_"
"""How the names of scores on the test part begin."""


class KnowsData(ABC):
    """An evaluator that knows its data: networks can be run on it, and described with it."""

    @property
    @abstractmethod
    def data(self) -> Dataset | Loaders:
        """What networks are trained and scored on."""


class Retrainable(ABC):
    """An evaluator that can give a chosen network its final training."""

    @abstractmethod
    def retraining(self, epochs: int | None = None) -> Evaluator:
        """The evaluator that trains a chosen network from scratch and scores it on the test part.

        No trial of the search has seen that part. The names of its scores begin with `test_`; its
        device is that of the search's evaluator.

        Args:
            epochs: In place of the search's.

        Raises:
            InputError: Something is missing, such as a test part, or `epochs` can't be used.
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


class Exchanging(ABC):
    """A `Prepared` evaluator that takes what another machine has prepared for the study."""

    @abstractmethod
    def exchanging(self, files: SharedFiles | None) -> Evaluator:
        """A copy of this evaluator that shares what it prepares.

        Args:
            files: Where machines share it; None if they have no more in common than a folder.
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
    return evaluator.data if isinstance(evaluator, KnowsData) else None


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
        InputError: There is none, something is missing for it, or it provides scores whose names
            don't begin with `test_`.
    """
    kind = type(evaluator).__name__
    if not isinstance(evaluator, Retrainable):
        raise InputError(
            f"a {kind} has no retraining"
            + (
                ": nothing is trained in this study, its scores are looked up"
                if evaluator.estimates
                else ": it alone knows its data; train the network with your own code "
                "(`search.objective().candidate(trial).model` is the trial's network, untrained), "
                "or derive the class from optnas.evaluators.Retrainable too, with its method "
                "`retraining`"
            )
        )
    found = evaluator.retraining() if epochs is None else evaluator.retraining(epochs)
    if not isinstance(found, Evaluator):
        raise InputError(
            f"`retraining` of a {kind} must return an evaluator, such as "
            "optnas.FunctionEvaluator(train, {'test_loss': 'minimize'}); it returned "
            f"{type(found).__name__}"
        )
    others = [name for name in found.provides if not name.startswith(TEST)]
    if others:
        raise InputError(
            f"`retraining` of a {kind} returned an evaluator that provides {', '.join(others)}: it "
            "must score the network on the test part, and the names of its scores begin with "
            f"{TEST}"
        )
    check_gives_weights(found)
    return found


def why_no_retraining(evaluator: Evaluator) -> str:
    """Why a network can't have a final training, as a sentence; empty if it can."""
    try:
        retraining_of(evaluator)
    except Exception as error:  # `retraining` may be a user's
        return str(error)
    return ""


def bound(
    evaluator: Evaluator,
    space: SearchSpace[Any],
    folder: Path | None,
    files: SharedFiles | None = None,
) -> Evaluator:
    """The evaluator for the networks of a space; itself if there is nothing to prepare.

    Args:
        evaluator: Any evaluator.
        space: The search space.
        folder: May keep what all networks need.
        files: Where machines share that, if they do.
    """
    found = evaluator.bind(space, folder) if isinstance(evaluator, Prepared) else evaluator
    return found.exchanging(files) if isinstance(found, Exchanging) else found
