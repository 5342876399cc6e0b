"""What an evaluator is, and how it reports."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from optuna.trial import BaseTrial

from optnas.candidate import Candidate
from optnas.datasets.dataset import Dataset, Loaders
from optnas.errors import InputError
from optnas.search_spaces import SearchSpace
from optnas.study.objectives import Direction
from optnas.utils.inputs import Inputs

STORE_SECONDS = 5.0
"""How often the growing curve of a running trial is stored, and its checkpoint."""


class Report:
    """What an evaluator calls after every epoch (or whatever it calls a step).

    Args:
        store: Called with the curve from time to time, and at the end.
        listeners: Called with the step and the scores. One that raises
            `optuna.TrialPruned` ends the trial as pruned.
        give_way: Called by `give_way`.
        folder: Where a checkpoint may lie; None keeps none.
    """

    def __init__(
        self,
        store: Callable[[list[dict[str, float]]], None] | None = None,
        listeners: Sequence[Callable[[int, Mapping[str, float]], None]] = (),
        give_way: Callable[[], None] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.curve: list[dict[str, float]] = []
        """The scores so far, with the key `step`."""
        self._store = store
        self._listeners = listeners
        self.give_way = give_way or _nothing
        """Lets a waiting latency measurement have the device. To be called before each training
        step: it takes well under a microsecond where nobody waits, and `report()` calls it too."""
        self.folder = folder
        """Where a checkpoint of the running trial may lie, from which its retry goes on; None where
        none is kept. Whoever writes one makes the folder. It is removed when the trial ends, and
        stays when the trial is lost with its process."""
        self._stored = time.monotonic()

    def __call__(self, step: int, scores: Mapping[str, float]) -> None:
        """Takes the scores after a step, and passes them on."""
        scores = {name: float(score) for name, score in scores.items()}
        self.curve.append({"step": step, **scores})
        if time.monotonic() - self._stored > STORE_SECONDS:
            self.close()
        for listener in self._listeners:
            listener(step, scores)
        self.give_way()

    def close(self) -> None:
        """Stores the curve."""
        if self._store is not None and self.curve:
            self._store(self.curve)
            self._stored = time.monotonic()


def _nothing() -> None:
    """Nobody else uses the device."""


class Evaluator(ABC):
    """Finds out how well a candidate does the task: trains it, or looks it up.

    Attributes:
        trains: Whether `evaluate` trains `candidate.model`, and leaves the weights in it.
        device: Where it trains; `auto` is the study's device.
    """

    trains: ClassVar[bool] = True
    device: str = "auto"

    @property
    @abstractmethod
    def provides(self) -> Mapping[str, Direction]:
        """The names of the scores that `evaluate` returns, each with its direction."""

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Data and settings; scores with different fingerprints can't be compared."""
        return {}

    @property
    def data(self) -> Dataset | Loaders | None:
        """What it trains and scores on; None where only a person's own code knows."""
        return None

    def check_inputs(self, example_inputs: Inputs) -> None:  # noqa: B027
        """Raises ValueError if networks with such inputs can't be evaluated on this data."""

    @property
    def real(self) -> Evaluator:
        """What trains networks for real, where these scores are estimates; else itself."""
        return self

    def bind(self, space: SearchSpace[Any], folder: Path | None) -> Evaluator:
        """This evaluator for the networks of a space.

        Args:
            space: The search space.
            folder: Where it may keep what it needs for all of them; None keeps nothing.
        """
        return self

    def prepare(
        self, say: Callable[[str], None] | None = None, stopped: Callable[[], bool] | None = None
    ) -> str:
        """Does what has to be done once, before any network is evaluated.

        Args:
            say: Told how far it is.
            stopped: Whether it is to be given up for now.

        Returns:
            A hash of what all scores rest on; empty if there is no such thing.

        Raises:
            StoppedError: It was given up; it goes on from there the next time.
        """
        return ""

    def suggest(self, trial: BaseTrial) -> object:
        """Draws the training recipe, whose `str()` is canonical; nothing by default."""
        return ""

    @abstractmethod
    def evaluate(self, candidate: Candidate, recipe: Any, report: Report) -> dict[str, float]:
        """Returns the scores named in `provides`.

        Args:
            candidate: Its `model` may be trained in place, and moved to a device.
            recipe: What `suggest` returned.
            report: To be called after every epoch.

        Raises:
            CandidateError: The architecture is at fault (it diverged, say).
        """

    def retraining(self, epochs: int | None = None) -> Evaluator:
        """What trains a chosen network anew, for good, and scores it on a part that no trial saw.

        Its scores are named `test_…`; its device is this evaluator's.

        Args:
            epochs: In place of the search's.

        Raises:
            InputError: It can't.
        """
        raise InputError(
            f"a {type(self).__name__} has no retraining"
            + (
                ": it alone knows its data; train the network with your own code "
                "(`objective.candidate(trial).model` is the trial's network, untrained), or give "
                "the evaluator a method `retraining`"
                if self.trains
                else ": nothing is trained in this study, its scores are looked up"
            )
        )

    def configured(self, *, device: str | None = None, epochs: int | None = None) -> Evaluator:
        """This evaluator with another device or number of epochs.

        Raises:
            InputError: It has no such setting.
        """
        if epochs is not None:
            raise InputError(
                f"epochs={epochs}: a {type(self).__name__} decides on its epochs itself; change "
                "them in the study file"
            )
        return self
