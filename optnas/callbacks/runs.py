"""The runs that a tracker's thread writes: which have begun, which have ended, what is missing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.callbacks.facts import Points, TrialFacts, trial_facts
from optnas.callbacks.identity import turn
from optnas.callbacks.methods import TrackerMethods
from optnas.callbacks.trials import copied_as


class WaitingPoints:
    """Scores of epochs that the thread hasn't written yet, by trial."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._points: dict[int, Points] = {}

    def add(self, number: int, step: int, scores: dict[str, float]) -> bool:
        """Adds an epoch of a trial; whether it is the only one, so that somebody must take it."""
        with self._lock:
            points = self._points.setdefault(number, [])
            points.append((step, scores))
            return len(points) == 1

    def take(self, number: int) -> Points:
        """Returns what waits of a trial, which waits no more."""
        with self._lock:
            return self._points.pop(number, [])

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._points.clear()


@dataclass(frozen=True, eq=False)
class Connection:
    """The study that is written.

    Attributes:
        study: Its name.
        id: What tells it from others of its name.
        joined: Whether its run is another process's.
    """

    study: str
    id: str
    joined: bool


class TrackedRuns:
    """Writes a study's trials with a tracker's methods, each once. All of it runs in the thread.

    Args:
        methods: The tracker.
        waiting: The epochs that wait.
        step: Called when a part of a long call is done.
    """

    def __init__(
        self, methods: TrackerMethods, waiting: WaitingPoints, step: Callable[[], object]
    ) -> None:
        self._methods = methods
        self._waiting = waiting
        self._step = step
        self._connection: Connection | None = None
        self._begun: dict[int, set[int]] = {}  # the steps that a trial's run has
        self._ended: set[int] = set()

    def call(self, connection: Connection, call: Callable[..., object], *arguments: object) -> None:
        """Calls a function, connected with a study."""
        if self._connection is not connection:  # or the tracker was away the last time
            self._begun, self._ended = {}, set()
            with turn(connection.id):
                self._methods.connect(connection.study, connection.id, joined=connection.joined)
            self._connection = connection
        call(*arguments)

    def end_missing(
        self, study: Study, trials: Sequence[FrozenTrial], recorded: set[int] | None = None
    ) -> None:
        """Writes trials that have ended, but for those that the tracker has.

        Args:
            study: Their study.
            trials: The trials.
            recorded: Those that it has; it is asked by default.
        """
        with turn(self._connection.id if self._connection else ""):
            there = self._methods.recorded() if recorded is None else recorded
            for trial in trials:
                if trial.number not in there:
                    self.end(trial_facts(study, trial))
                    self._step()

    def add_waiting(self, number: int, facts: TrialFacts | None) -> None:
        """Writes the epochs of a trial that wait; `facts` come with its first one."""
        points = self._waiting.take(number)
        if number in self._ended:
            return
        if number not in self._begun:
            if facts is None:
                return  # the call with the facts was dropped: `end` writes all points
            self._begun[number] = self._methods.begin(facts)
        self._write_new(number, points)

    def end(self, facts: TrialFacts) -> None:
        """Writes what is missing of a trial, and ends its run."""
        number = facts.number
        points = self._waiting.take(number)
        if number in self._ended:
            return
        if number not in self._begun:
            self._begun[number] = self._methods.begin(facts)
        self._write_new(number, facts.points or points)
        self._methods.end(facts)
        self._ended.add(number)
        del self._begun[number]

    def _write_new(self, number: int, points: Points) -> None:
        there = self._begun[number]
        new = [(step, scores) for step, scores in points if step not in there]
        if new:
            self._methods.write_points(number, new)
            there.update(step for step, _ in new)

    def write_weights(self, number: int, name: str, path: Path) -> None:
        """Writes the weights of a trial under a name, if they are still there."""
        with suppress(FileNotFoundError), copied_as(name, path) as file:
            self._methods.write_weights(number, file, path)
