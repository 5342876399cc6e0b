"""Keeps the finished trials of a study in the order of completion.

Optuna returns the list of all trials; each update reads only the new ones.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.reference_limits import reference_limits
from optnas.samplers.repeats import Repeats
from optnas.samplers.trie import Decision, Keys, Trie, keys_of, path_of
from optnas.storage.place import place_of
from optnas.study.attributes import ARCHITECTURE, BASELINE, is_hand_made, is_without_result
from optnas.study.leases import is_dead, lease_of
from optnas.study.trial_order import Places, completion

FAILURES = 3
"""The number of failures with the same values from which on they aren't drawn again."""
State = TypeVar("State")
Array = NDArray[np.float64]
Key = tuple[int, int]


class Shapes:
    """The parameters that COMPLETE trials drew, in order."""

    def __init__(self) -> None:
        self._whole: set[tuple[str, ...]] = set()
        self._begun: set[tuple[str, ...]] = set()

    def add(self, trial: FrozenTrial) -> None:
        """Adds those of a trial, if it is COMPLETE."""
        names = tuple(trial.params)
        if trial.state == TrialState.COMPLETE and names not in self._whole:
            self._whole.add(names)
            self._begun.update(names[:n] for n in range(1, len(names)))

    def are_whole(self, trial: FrozenTrial) -> bool:
        """Whether a COMPLETE trial drew the parameters of this one, and no more."""
        return tuple(trial.params) in self._whole

    def are_begun(self, trial: FrozenTrial) -> bool:
        """Whether a COMPLETE trial drew the parameters of this one, and then more."""
        return tuple(trial.params) in self._begun


class History:
    """The part of a study that a sampler may depend on.

    It leaves out trials that were lost, trials that were superfluous, and baselines that are no
    architectures of the space (they have no parameters). It has the trials that failed or were
    pruned, because they were tried.

    Attributes:
        study: The study.
        trials: The finished trials, in the order in which they ended; those that were confirmed
            have the means of their evaluations as values.
        repeats: These means.
        running: The other running trials, with the parameters drawn so far.
        tried: The parameters of both, as a tree; without those of trials that were cut short.
        limits: The reference point of the study as losses, of shape `(objectives,)`: inf where an
            objective has no limit (see `optnas.pareto.reference_limits`).
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self._place = place_of(study._storage)
        self.trials: list[FrozenTrial] = []
        self.tried = Trie()
        self._keys: list[Key] = []
        self._seen = 0
        self._unfinished: list[int] = []
        self._unsure: list[list[Decision]] = []
        self.running: list[FrozenTrial] = []
        self._shapes = Shapes()
        self._failed: list[FrozenTrial] = []
        self._failures: Counter[Keys] = Counter()
        self._places = Places()
        self.limits: Array = np.full(len(study.directions), np.inf)
        self._baselines: list[FrozenTrial] = []
        self.repeats = Repeats()
        self._folds: dict[Callable[[History], Any], tuple[Any, int]] = {}

    def is_of(self, study: Study) -> bool:
        """Whether this is the history of the given study."""
        return study._storage is self.study._storage and study._study_id == self.study._study_id

    def update(self, own: FrozenTrial) -> None:
        """Reads what has changed since the last update.

        Args:
            own: The trial whose parameters are drawn next; it isn't one of the running ones.
        """
        every = self.study._storage.get_all_trials(self.study._study_id, deepcopy=False)
        if self.repeats.update(self.study):
            self.trials = [self.repeats.at_mean(every[trial.number]) for trial in self.trials]
            self._folds.clear()
        for path in self._unsure:
            self.tried.remove(path)
        self._unsure, self.running = [], []
        numbers = [*self._unfinished, *range(self._seen, len(every))]
        self._places.read(every)
        self._seen, self._unfinished = len(every), []
        for number in numbers:
            trial = every[number]
            if trial.state.is_finished():
                self._finish(trial)
                continue
            self._unfinished.append(number)
            if trial.state == TrialState.RUNNING and number != own.number and self._counts(trial):
                self.running.append(trial)
        self._add_unsure()
        limits = reference_limits(self.study, self._baselines)
        if (limits != self.limits).any():
            self.limits = limits
            self._folds.clear()

    def place(self, trial: FrozenTrial) -> int:
        """The place of a trial in the sequence of its study."""
        return self._places.of(trial)

    def fold(
        self, start: Callable[[History], State], step: Callable[[State, FrozenTrial], None]
    ) -> State:
        """Returns a learned state: a fold over the finished trials in order.

        The state is kept, so a later call adds only the new trials. If a trial arrives late (from
        another worker, which ended earlier), the fold starts again from its beginning.

        Args:
            start: Returns the state before any trial.
            step: Adds one trial to the state.
        """
        # Removed meanwhile, so that an interrupt never leaves a state half updated.
        state, count = self._folds.pop(start, None) or (start(self), 0)
        for trial in self.trials[count:]:
            step(state, trial)
        self._folds[start] = state, len(self.trials)
        return state

    def is_cut_short(self, trial: FrozenTrial) -> bool:
        """Whether a trial failed, or stands, before it has drawn all its parameters.

        It may then lead to something new. An objective of optnas stores the architecture as soon as
        it is drawn. Of other trials, those are cut short that drew only the first parameters of a
        COMPLETE one, while no COMPLETE one drew these alone. A third failure with the same values
        is one of the network.
        """
        return not self._is_whole(trial) and self._shapes.are_begun(trial)

    def _is_whole(self, trial: FrozenTrial) -> bool:
        """Whether a trial is sure to have drawn all its parameters."""
        return (
            trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
            or ARCHITECTURE in trial.user_attrs
            or self._shapes.are_whole(trial)
            or self._failures[keys_of(trial)] >= FAILURES
        )

    def _add_unsure(self) -> None:
        """Adds the paths that a later trial may show to be cut short."""
        failed, self._failed = self._failed, []
        for trial in failed:
            if self._is_whole(trial):
                self.tried.add(path_of(trial), trial.number)
            else:
                self._failed.append(trial)
        for trial in [*self._failed, *self.running]:
            if not self.is_cut_short(trial):
                path = path_of(trial)
                self.tried.add(path, trial.number)
                self._unsure.append(path)

    def _finish(self, trial: FrozenTrial) -> None:
        if BASELINE in trial.user_attrs:
            self._baselines.append(trial)
        if is_without_result(trial) or not self._counts(trial):
            return
        self._shapes.add(trial)
        if trial.state == TrialState.FAIL:
            self._failures[keys_of(trial)] += 1
            self._failed.append(trial)
        else:
            self.tried.add(path_of(trial), trial.number)
        key = completion(trial)
        at = bisect.bisect(self._keys, key)
        if at < len(self.trials):
            self._folds.clear()
        self._keys.insert(at, key)
        self.trials.insert(at, self.repeats.at_mean(trial))

    def _counts(self, trial: FrozenTrial) -> bool:
        """Whether a sampler drew the trial, and a living process runs it if it isn't finished."""
        if is_hand_made(trial) or not trial.params:
            return False
        held = lease_of(trial)
        running = trial.state == TrialState.RUNNING
        return not running or held is None or not is_dead(held, self._place)
