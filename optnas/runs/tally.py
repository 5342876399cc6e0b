"""The tally of a study: which trials count, which are lost, and which are repeated.

A lost trial is repeated by a retry (see `optnas.runs.recovery`); one that failed isn't. How a
single trial is told to count or to be lost is in `optnas.study.attributes`. Any number of workers
may keep a tally of one study: if two of them queue a retry of the same trial, the retry with the
lower number counts, and the worker that takes the other one ends it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from optnas.runs.recovery import give_up, lose, queue_retry
from optnas.runs.take import take_trial
from optnas.storage.faults import storage_fault
from optnas.storage.place import place_of
from optnas.study.attributes import (
    BASELINE,
    RETRY_OF,
    SURPLUS,
    is_counted,
    is_lost,
    is_without_result,
    retry_of,
)
from optnas.study.leases import Renewal, is_abandoned, is_alive
from optnas.study.trial_order import in_order_of_completion, origin

log = logging.getLogger("optnas")


class Tally:
    """What a worker knows of all trials of its study.

    Args:
        study: The study, which is read at once.
        own: The worker's lease. A tally without one recovers lost trials, and takes none.
        wanted: The number of trials that count to reach. Without it, every lost trial is repeated.

    Attributes:
        counted: The number of trials that count: COMPLETE ones, and those that were stopped early.
        proven: Whether a sampled network has succeeded, so that the code can't be all wrong.
        running: The RUNNING trials, those of dead processes included.
        waiting: The WAITING trials.
        ended: The trials that have ended since the tally was made, sorted by when they ended.
            Trials without a result (lost or superfluous ones) are left out.
        unsuccessful: Of these, the trials that don't count: pruned before their training, or
            failed.
    """

    def __init__(
        self, study: Study, own: Mapping[str, Any] | None = None, wanted: float = math.inf
    ) -> None:
        self._study = study
        self._own = own or {}
        self._place = place_of(study._storage)
        self._wanted = wanted
        self.counted = 0
        self.proven = False
        self.running: list[FrozenTrial] = []
        self.waiting: list[FrozenTrial] = []
        self.ended: list[FrozenTrial] = []
        self.unsuccessful: list[FrozenTrial] = []
        self._seen = 0
        self._not_counted = 0
        self._unfinished: list[int] = []
        self._retries: dict[int, int] = {}
        self._lost: list[FrozenTrial] = []
        self.read()
        self.ended, self.unsuccessful = [], []

    def read(self) -> list[FrozenTrial]:
        """Takes in what is new; returns all trials of the study, in the order of their numbers."""
        trials = self._study.get_trials(deepcopy=False)
        numbers = [*self._unfinished, *range(self._seen, len(trials))]
        self._seen, self._unfinished, self.running, self.waiting = len(trials), [], [], []
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
            if is_counted(trial):
                self.counted += 1
                self.proven = self.proven or BASELINE not in trial.user_attrs
            else:
                self._not_counted += 1
                if is_lost(trial):
                    self._lost.append(trial)
        with_result = [t for t in ended if not is_without_result(t)]
        self.unsuccessful += [t for t in with_result if not is_counted(t)]
        self.ended += in_order_of_completion(with_result)
        return trials

    def alive(self) -> list[int]:
        """The numbers of the trials that a living process is running."""
        return [trial.number for trial in self.running if is_alive(trial, self._place)]

    def recover(self) -> list[int]:
        """Ends the trials of dead processes, and queues a retry for each lost trial without one.

        It may be called at any time, by several workers at once, and again if a crash cut an
        earlier call short. It queues no more retries than are wanted.

        Returns:
            The numbers of the lost trials that were queued again.
        """
        dead = [trial for trial in self.running if is_abandoned(trial, self._place)]
        for trial in dead:
            give_up(self._study, trial)
        if dead:
            self.read()
        self._lost = [t for t in self._lost if t.number not in self._retries]
        missing = self._wanted - self.counted - len(self.alive()) - len(self.waiting)
        queued = [trial for i, trial in enumerate(self._lost) if i < missing]
        for trial in queued:
            queue_retry(self._study, trial)
        if queued:
            self.read()
        return [trial.number for trial in queued]

    @contextmanager
    def taken(self, renewal: Renewal) -> Iterator[Trial | None]:
        """Takes the next trial, for the block to run; None if it turns out to be superfluous.

        If the block is interrupted, or the storage fails, the trial is marked lost and queued
        again. If another worker has presumed the trial dead meanwhile, the block's result is
        dropped.

        Args:
            renewal: Of the worker's lease; it renews the lease on this trial while the block lasts.
        """
        trial = take_trial(self._study, self._own, self.waiting)
        renewal.trial_id = trial._trial_id
        try:
            yield None if self._end_if_superfluous(trial) else trial
        except KeyboardInterrupt:
            lose(self._study, trial)
            raise
        except UpdateFinishedTrialError:
            log.warning(
                "trial %d was presumed dead and is repeated: its result came too late", trial.number
            )
        except Exception as error:
            if storage_fault(error):
                with suppress(Exception):
                    lose(self._study, trial)
            raise
        finally:
            renewal.trial_id = None

    def _end_if_superfluous(self, trial: Trial) -> bool:
        """Ends a trial that was just taken if it isn't needed, before anything is suggested.

        Several workers may have asked for the last trial at once, or queued a retry of the same
        one, or, as they began the study together, the same baseline: its first trial stays, also if
        that failed. Only trials with lower numbers make a trial superfluous, so enough of them
        stay. A new trial is needed if its number (from 0), minus the number of trials that don't
        count, is below the wanted number.
        """
        is_new = trial.number >= self._seen and not trial.user_attrs.keys() & {BASELINE, RETRY_OF}
        if is_new and trial.number - self._not_counted < self._wanted:
            return False
        trials = self.read()
        of = retry_of(trials[trial.number])
        before = sum(
            is_counted(t) or t.state == TrialState.WAITING or is_alive(t, self._place)
            for t in trials[: trial.number]
        )
        if of is not None and self._retries.get(of, trial.number) < trial.number:
            reason = f"trial {of} is repeated by an earlier trial already"
        elif double := _as_double(trials, trial.number):
            reason = double
        elif before >= self._wanted:
            reason = f"{self._wanted} trials are wanted, and as many come before this one"
        else:
            return False
        with suppress(UpdateFinishedTrialError):
            trial.set_user_attr(SURPLUS, reason)
            self._study.tell(trial, state=TrialState.FAIL)
        return True


def end_doubled_baselines(study: Study) -> None:
    """Ends the WAITING trials whose baseline an earlier trial has."""
    storage, trials = study._storage, study.get_trials(deepcopy=False)
    for trial in trials:
        if trial.state == TrialState.WAITING and (reason := _as_double(trials, trial.number)):
            with suppress(UpdateFinishedTrialError):  # a worker has taken it, and ended it so, too
                storage.set_trial_user_attr(trial._trial_id, SURPLUS, reason)
                storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
                storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)


def _as_double(trials: Sequence[FrozenTrial], number: int) -> str:
    """Why a trial isn't needed, if an earlier one has the same baseline; else empty."""
    first = _first_of_baseline(trials, number)
    if first is None:
        return ""
    return f"trial {first} is the baseline {trials[first].user_attrs[BASELINE]!r} already"


def _first_of_baseline(trials: Sequence[FrozenTrial], number: int) -> int | None:
    """The trial that has the same baseline and comes before a trial; None if there is none.

    A retry stands where the trial that it repeats does.
    """
    name = trials[number].user_attrs.get(BASELINE)
    if name is None:
        return None
    before = trials[: origin(trials[number], trials)]
    return next((t.number for t in before if t.user_attrs.get(BASELINE) == name), None)
