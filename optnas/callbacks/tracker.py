"""Follows a study's run, and writes what happens to a tracker.

The study's process only notes what happens. A thread writes it (`Writer`), so that a tracker that
is slow or away costs no time. Whatever a killed process couldn't write any more, the next run
writes: at its begin and at its end it compares the study's trials with those that the tracker has.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from optnas.callbacks.checks import check_package, check_weights
from optnas.callbacks.facts import FrontFacts, front_facts, numbers, trial_facts
from optnas.callbacks.identity import tracked_id
from optnas.callbacks.methods import TrackerMethods
from optnas.callbacks.runs import Connection, TrackedRuns, WaitingPoints
from optnas.callbacks.trials import ended_trials, kept_weights, left_trials
from optnas.callbacks.writer import Writer
from optnas.objective.objective import Objective
from optnas.pareto.snapshot import Snapshot
from optnas.study.artifacts import WeightStore
from optnas.study.attributes import SURPLUS
from optnas.study.leases import is_own, lease_of

FRONT_PAUSE, TIMES = 60.0, 50.0
"""Seconds between two looks at the front while the study runs, or this many times what one took."""


class Tracker(TrackerMethods):
    """Writes a study to a tracker: a run for the study, and a child run for each trial.

    A derived class says how to write, by the methods of `TrackerMethods`.

    It is a listener of a `Search`, and a callback of `study.optimize`; `epoch` is a listener of an
    `Objective`, for curves that grow while a trial runs.

    Args:
        package: The package that it needs.
        extra: The extra of optnas that installs the package.
        weights: What is written of the kept weights of the front's members when a run has ended.
        ways: What the tracker can do with weights; the empty text, nothing, is always allowed.

    Raises:
        InputError: The package is missing, or `weights` is unknown.
    """

    def __init__(self, package: str, extra: str, weights: str, ways: Sequence[str]) -> None:
        name = type(self).__name__
        check_weights(name, weights, ways)
        check_package(name, package, extra)
        self._weights = weights
        self._writer = Writer(name)
        self._lock = threading.RLock()
        self._key: tuple[object, ...] | None = None
        self._study: Study | None = None
        self._store: WeightStore | None = None
        self._joined = self._closed = self._at_exit = False
        self._next_front = 0.0
        self._own: set[int] = set()  # trials of this process
        self._waiting = WaitingPoints()
        self._tracked_runs = TrackedRuns(self, self._waiting, self._writer.step)
        self._connection: Connection | None = None

    def opened(
        self, study: Study, objective: Objective | None = None, *, joined: bool = False
    ) -> None:
        """A run begins.

        Args:
            study: The study.
            objective: Its objective, which knows where weights are kept.
            joined: Whether this is a worker of a run that another process has begun.
        """
        with self._writer.harmless():
            self._open(study, objective, joined)
            self._writer.settle()

    def epoch(self, trial: Trial, step: int, scores: Mapping[str, float]) -> None:
        """A trial of this process has reported the scores of an epoch."""
        with self._writer.harmless():
            self._open(trial.study)
            number = trial.number
            if not self._waiting.add(number, step, numbers(scores)):
                return  # the thread takes it with those before
            with self._lock:
                is_new = number not in self._own
                self._own.add(number)
            facts = None
            if is_new:
                facts = trial_facts(trial.study, trial.study._storage.get_trial(trial._trial_id))
            self._put(self._tracked_runs.add_waiting, number, facts)

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        """A trial has ended."""
        with self._writer.harmless():
            held = lease_of(trial)
            if not held or is_own(held):
                with self._lock:
                    self._own.add(trial.number)
                self._open(study)
                if SURPLUS not in trial.user_attrs:
                    self._put(self._tracked_runs.end, trial_facts(study, trial))
            self._look_at_front(study, trial)
            self._writer.settle()

    def closed(self, study: Study, error: BaseException | None = None) -> None:
        """The run has ended: what is left is written, and then the front.

        Args:
            study: The study.
            error: What ended it, if it didn't end by itself.
        """
        if self._key is None or self._closed:
            return
        self._closed = True
        with self._writer.harmless():
            if not self._joined:
                self._catch_up(study)
                seen = Snapshot.of(study)
                if front := front_facts(seen):
                    self._put(self.write_front, front)
                    self._put_weights(study, front)
            elif own := [t for t in ended_trials(study) if t.number in self._own]:
                self._put(self._tracked_runs.end_missing, study, own, set())  # what was lost
            state = "finished"
            if error is not None:
                state = "failed" if isinstance(error, Exception) else "killed"
            self._put(self.disconnect, state)
        with self._writer.harmless():
            self._writer.finish()
        self._key = None

    def _exit(self) -> None:
        if self._study is not None:
            self.closed(self._study)

    def _open(self, study: Study, objective: Objective | None = None, joined: bool = False) -> None:
        """Connects with the study's run, at the first call for a study."""
        key = (id(study._storage), study._study_id)
        with self._lock:
            if key == self._key:
                return
            if self._key is not None and self._study is not None:
                self.closed(self._study)
            self._key, self._study, self._joined, self._closed = key, study, joined, False
            self._store = objective.weights if objective is not None else None
            self._next_front = 0.0
            self._waiting.clear()
        if objective is None:  # nobody says when it ends
            if not self._at_exit:
                self._at_exit = True
                atexit.register(self._exit)
        elif not joined:
            self._own = set()
        self._connection = Connection(study.study_name, tracked_id(study), joined)
        self._put(lambda: None)  # connects
        if not joined:
            self._catch_up(study, own=self._own)

    def _put(self, call: Callable[..., object], *arguments: object) -> None:
        """Lets the thread call something, connected with the study of now."""
        assert self._connection is not None
        self._writer.put(partial(self._tracked_runs.call, self._connection, call, *arguments))

    def _catch_up(self, study: Study, *, own: Collection[int] = ()) -> None:
        """Lets the thread write the trials whose processes couldn't do so."""
        if missing := left_trials(study, own):
            self._put(self._tracked_runs.end_missing, study, missing)

    def _look_at_front(self, study: Study, trial: FrozenTrial) -> None:
        """Writes the front if a trial has joined it, and the last look is long enough ago."""
        now = time.monotonic()
        with self._lock:
            if self._joined or trial.state != TrialState.COMPLETE or now < self._next_front:
                return
            self._next_front = now + FRONT_PAUSE
        seen = Snapshot.of(study)
        front = front_facts(seen)
        if front is not None and trial.number in front.ids:
            self._put(self.write_front, front)
        self._next_front = now + max(FRONT_PAUSE, TIMES * (time.monotonic() - now))

    def _put_weights(self, study: Study, front: FrontFacts) -> None:
        if not self._weights or self._store is None:
            return
        for number, name, path in kept_weights(self._store, study, front.ids):
            self._put(self._tracked_runs.write_weights, number, name, path)
