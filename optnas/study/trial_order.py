"""The order of a study's trials: the place of each in the sequence, and the order of their ends.

The order of their ends doesn't depend on any clock: one may be set back, differs between machines,
and shows an hour twice when summer time ends. With one worker trials end in the order of their
numbers. A trial that ends after later ones have begun keeps the number of the one that it precedes.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optnas.study.attributes import retry_of

PRECEDES = "optnas:precedes"
"""The system attribute of a trial that ended after later ones had begun: the number of the trial
before whose end it ended, the last that had begun or, if that had ended too, the next."""


class Places:
    """The place of each trial in the study's sequence; new trials are read as they are made.

    A retry has the place of the trial it repeats. The place of any other trial is its number minus
    the number of retries with lower numbers. So a trial that was lost and repeated leaves no trace
    in the sequence: whatever is seeded by the place comes out as if the trial had never been lost.
    """

    def __init__(self) -> None:
        self._read = 0
        self._retries: list[int] = []
        self._repeated: dict[int, int] = {}

    def read(self, trials: Sequence[FrozenTrial]) -> None:
        """Reads the trials that are new since the last call, of all trials sorted by number."""
        for trial in trials[self._read :]:
            of = retry_of(trial)
            if of is not None:
                self._retries.append(trial.number)
                self._repeated[trial.number] = of
        self._read = len(trials)

    def of(self, trial: FrozenTrial) -> int:
        """The place of a trial."""
        number = trial.number
        while number in self._repeated:
            number = self._repeated[number]
        return number - bisect.bisect_left(self._retries, number)


def place(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> int:
    """The place of a trial; `trials` are all trials of its study, sorted by number."""
    places = Places()
    places.read(trials)
    return places.of(trial)


def origin(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> int:
    """The number of the trial that a retry repeats in the end, also through other retries.

    For a trial that is no retry it is the trial's own number.
    """
    while (of := retry_of(trial)) is not None:
        trial = trials[of]
    return trial.number


def completion(trial: FrozenTrial) -> tuple[int, int]:
    """Sorts finished trials by their ends."""
    kept = trial.system_attrs.get(PRECEDES)
    return (kept if type(kept) is int and kept > trial.number else trial.number), trial.number


def in_order_of_completion(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Finished trials in the order in which they ended."""
    return sorted(trials, key=completion)


def keep_completion(study: Study, trial: FrozenTrial) -> None:
    """Writes what `completion` reads into a trial that is about to end, where it is needed."""
    trials = study._storage.get_all_trials(study._study_id, deepcopy=False)
    last = next((t for t in reversed(trials) if t.state != TrialState.WAITING), trial)
    if last.number > trial.number:
        precedes = last.number + last.state.is_finished()
        study._storage.set_trial_system_attr(trial._trial_id, PRECEDES, precedes)
