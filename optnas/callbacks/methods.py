"""What a tracker can do: a derived class says how to write a study to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from optnas.callbacks.facts import FrontFacts, Points, TrialFacts


class TrackerMethods(ABC):
    """Writes a run for a study, and a child run for each trial.

    The methods are called one after the other in a thread; an error in them ends nothing.
    """

    @abstractmethod
    def connect(self, study: str, id: str, *, joined: bool) -> None:
        """Finds the study's run, or makes it.

        Args:
            study: The study's name.
            id: What tells the study from others of its name.
            joined: Whether the run is another process's.
        """

    @abstractmethod
    def recorded(self) -> set[int]:
        """The numbers of the trials whose child runs have ended."""

    @abstractmethod
    def begin(self, trial: TrialFacts) -> set[int]:
        """Begins the child run of a trial, or continues it; returns the steps that it has."""

    @abstractmethod
    def write_points(self, number: int, points: Points) -> None:
        """Adds scores of epochs to the child run of a trial that has begun."""

    @abstractmethod
    def end(self, trial: TrialFacts) -> None:
        """Completes the child run of a trial that has begun, and ends it."""

    @abstractmethod
    def write_front(self, front: FrontFacts) -> None:
        """Writes the front into the study's run."""

    @abstractmethod
    def write_weights(self, number: int, file: Path, original: Path) -> None:
        """Writes the weights of a member of the front.

        Args:
            number: Its trial, whose child run has ended.
            file: A copy of the weights, with a name that says what they are.
            original: Where the study keeps them.
        """

    @abstractmethod
    def disconnect(self, state: str) -> None:
        """Ends what this process has begun: `finished`, `failed` or `killed`."""
