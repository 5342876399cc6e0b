"""Follows a study that others work on: what began and ended is read from its storage."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.runs.observer import Observer
from optnas.runs.tally import Tally
from optnas.study.attributes import retry_of


class Follower:
    """Tells an observer of the trials of a study that other processes run.

    Args:
        study: The study, as it stands when its workers are started.
        observer: Told of what begins, ends and is repeated from now on.
        callbacks: Called with the study and each trial that has ended.
    """

    def __init__(
        self,
        study: Study,
        observer: Observer,
        callbacks: Sequence[Callable[[Study, FrozenTrial], None]] = (),
    ) -> None:
        self._study = study
        self._observer = observer
        self._callbacks = callbacks
        self._tally = Tally(study)
        self._begun = {trial.number for trial in self._tally.running}
        self._seen = len(study.get_trials(deepcopy=False))
        self._told = 0

    @property
    def counted(self) -> int:
        """The number of trials that count."""
        return self._tally.counted

    def look(self) -> int:
        """Reads what is new, and tells of it; gives the number of trials that have ended."""
        trials = self._tally.read()
        repeated = [of for t in trials[self._seen :] if (of := retry_of(t)) is not None]
        self._seen = len(trials)
        if repeated:
            self._observer.recovered([*dict.fromkeys(repeated)])  # two workers may queue the same
        ended = self._tally.ended[self._told :]
        self._told += len(ended)
        for trial in (*ended, *self._tally.running):
            if trial.number not in self._begun:
                self._begun.add(trial.number)
                self._observer.began(trial.number)
        for trial in ended:
            self._observer.finished(self._study, trial)
            for callback in self._callbacks:
                callback(self._study, trial)
        return len(ended)
