"""What is told of a run while it lasts."""

from __future__ import annotations

from collections.abc import Mapping

from optuna.study import Study
from optuna.trial import FrozenTrial


class Observer:
    """Is told of every event of a run; this one ignores them all.

    `Progress` shows them to the user, and a worker process reports them to its parent.
    """

    @property
    def shows_epochs(self) -> bool:
        """Whether it wants to know of every epoch."""
        return False

    def say(self, text: str) -> None:
        """There is a message for the user."""

    def recovered(self, numbers: list[int]) -> None:
        """These lost trials were queued again."""

    def waiting(self, numbers: list[int]) -> None:
        """Nothing is left to do but to wait for these trials, which other processes are running."""

    def began(self, number: int) -> None:
        """A trial has begun."""

    def choosing(self, number: int) -> None:
        """The sampler has been choosing a trial's architecture for a while."""

    def epoch(self, number: int, step: int, scores: Mapping[str, float]) -> None:
        """A trial has reported the scores of an epoch."""

    def finished(self, study: Study, trial: FrozenTrial) -> None:
        """A trial has ended, in whichever state."""
