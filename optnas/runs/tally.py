"""Where a study stands, kept up to date by reading what is new."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

from optnas.study.attributes import BASELINE, FAILURE, is_counted, is_lost, is_void, retry_of
from optnas.study.leases import is_alive


class Tally:
    """What a worker knows of all trials of its study.

    Attributes:
        seen: How many there were at the last look.
        counted: How many count: those that are COMPLETE, and those that were stopped early.
        proven: Whether a sampled network has succeeded, so that the code can't be all wrong.
        running: Those that are RUNNING, dead ones too.
        waiting: Those that are WAITING.
        not_counted: How many others have ended: pruned before their training, failed or lost.
        unsuccessful: Of these, those that ended since the first look and weren't lost.
    """

    def __init__(self) -> None:
        self.counted = 0
        self.proven = False
        self.running: list[FrozenTrial] = []
        self.waiting: list[FrozenTrial] = []
        self.not_counted = 0
        self.unsuccessful: list[FrozenTrial] = []
        self._first = True
        self.seen = 0
        self._unfinished: list[int] = []
        self._retries: dict[int, int] = {}
        self._lost: list[FrozenTrial] = []
        self._ended: list[FrozenTrial] = []

    def read(self, trials: Sequence[FrozenTrial]) -> None:
        """Takes in what is new among all trials of the study, in the order of their numbers."""
        numbers = [*self._unfinished, *range(self.seen, len(trials))]
        self.seen, self._unfinished, self.running, self.waiting = len(trials), [], [], []
        ended = []
        for number in numbers:
            trial = trials[number]
            of = retry_of(trial)
            if of is not None:
                self._retries.setdefault(of, number)
            if trial.state.is_finished():
                ended.append(trial)
            else:
                self._unfinished.append(number)
                (self.running if trial.state == TrialState.RUNNING else self.waiting).append(trial)
        for trial in ended:
            self._finish(trial)
        if not self._first:
            ended = [t for t in ended if not is_void(t)]
            self.unsuccessful += [t for t in ended if not is_counted(t)]
            self._ended += sorted(ended, key=lambda t: t.datetime_complete or datetime.min)
        self._first = False

    def _finish(self, trial: FrozenTrial) -> None:
        if is_counted(trial):
            self.counted += 1
            self.proven = self.proven or BASELINE not in trial.user_attrs
        else:
            self.not_counted += 1
            if is_lost(trial):
                self._lost.append(trial)

    def alive(self) -> list[int]:
        """The numbers of the trials that somebody is running."""
        return [trial.number for trial in self.running if is_alive(trial)]

    def lost(self) -> list[FrozenTrial]:
        """The lost trials that no other one repeats yet."""
        self._lost = [t for t in self._lost if t.number not in self._retries]
        return list(self._lost)

    def is_first_retry(self, trial: FrozenTrial) -> bool:
        """Whether no trial before this one repeats the same lost trial."""
        of = retry_of(trial)
        return of is None or self._retries.get(of, trial.number) >= trial.number

    @property
    def last_failure(self) -> str:
        """The reason why the last trial failed."""
        return str(self._ended[-1].user_attrs[FAILURE])

    def same_failures(self) -> int:
        """How many of the last trials, one after the other, failed for one reason."""
        count = 0
        for trial in reversed(self._ended):
            reason = kind_of_failure(trial)
            if reason is None or reason != kind_of_failure(self._ended[-1]):
                break
            count += 1
        return count


def kind_of_failure(trial: FrozenTrial) -> str | None:
    """The reason why a trial failed, without the numbers in it; None if it didn't."""
    reason = trial.user_attrs.get(FAILURE)
    if trial.state != TrialState.FAIL or reason is None:
        return None
    return re.sub(r"[\d.]+", "#", str(reason))
