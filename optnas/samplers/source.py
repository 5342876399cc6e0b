"""Which trials of an older study a new one learns from (part of `predictor`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optnas.errors import InputError
from optnas.samplers.lessons import Taught
from optnas.samplers.ranking import best_and_newest, best_first
from optnas.storage.place import place_of
from optnas.study.attributes import SOURCE, is_hand_made
from optnas.utils.text import plural

MOST_TRIALS = 200
"""The most trials of the source that are learned from: half of them the best, the others the
newest."""


class Source:
    """An older study that a sampler learns from.

    A new study keeps which of its trials those are, so that each process learns from the same ones
    although the older study may go on.

    Args:
        study: The older study.

    Raises:
        TypeError: It is no study.
        InputError: It has no COMPLETE trial with a choice of parameters.
    """

    def __init__(self, study: Study) -> None:
        if not isinstance(study, Study):
            raise TypeError(f"source must be an Optuna study, got {study!r}")
        self.study = study
        self._taught: tuple[BaseStorage, int, Any, Taught] | None = None
        if not self._there():
            raise InputError(
                f"there is nothing to learn from study {study.study_name!r}: it has no COMPLETE "
                "trial with a choice of parameters. Give a study that has some, or none"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {"study": self.study, "_taught": None}

    def taught(self, study: Study) -> Taught:
        """What a new study learns from: the same object, as long as that stays the same.

        Raises:
            InputError: The new study is the source itself, or has other objectives.
        """
        kept = study.user_attrs.get(SOURCE)
        if self._taught is not None and self._taught[:3] == (
            study._storage,
            study._study_id,
            kept,
        ):
            return self._taught[3]  # without a look at the source, which may be gone by now
        if _is_same(study, self.study):
            raise InputError(
                f"study {study.study_name!r} can't learn from itself: it resumes by itself; give "
                "another study, or none"
            )
        pairs = self.match(study.metric_names, study.directions)
        trials = self._found(kept)
        if trials is None:
            trials = best_and_newest(self._there(), self.study.directions, None, MOST_TRIALS)
            study.set_user_attr(SOURCE, _record(self.study.study_name, trials))
            # Another process may write there at the same time: what was written last counts.
            kept = study.user_attrs.get(SOURCE)
            trials = self._found(kept) or trials
        losses = {}
        for ours, theirs in pairs.items():
            sign = -1.0 if study.directions[ours] == StudyDirection.MAXIMIZE else 1.0
            losses[ours] = np.array([sign * trial.values[theirs] for trial in trials])
        order = best_first(trials, self.study.directions)
        taught = Taught(self.study.study_name, trials, losses, order)
        self._taught = study._storage, study._study_id, kept, taught
        return taught

    def _there(self) -> list[FrozenTrial]:
        found = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return [trial for trial in found if not is_hand_made(trial) and _chooses(trial)]

    def _found(self, kept: Any) -> list[FrozenTrial] | None:
        """The trials that a study keeps; None if it keeps none, or those of another source."""
        if not isinstance(kept, dict) or not isinstance(kept.get("trials"), list):
            return None
        there = {trial.number: trial for trial in self._there()}
        trials = [there[number] for number in kept["trials"] if number in there]
        return trials if trials and kept == _record(self.study.study_name, trials) else None

    def match(
        self, names: Sequence[str] | None, directions: Sequence[StudyDirection]
    ) -> dict[int, int]:
        """The positions of the objectives that both studies have, in the new one and in the source.

        They are matched by name where both studies name theirs, else by position.

        Args:
            names: The new study's names, if it has any.
            directions: Its directions.

        Raises:
            InputError: They have none in common.
        """
        theirs = self.study.metric_names
        if names and theirs:
            pairs = {i: theirs.index(name) for i, name in enumerate(names) if name in theirs}
        elif list(directions) == self.study.directions:
            pairs = {i: i for i in range(len(directions))}
        else:
            pairs = {}
        if not pairs:
            raise InputError(
                f"the objectives of the new study are {_described(names, directions)}, and those "
                f"of the study to learn from, {self.study.study_name!r}, are "
                f"{_described(theirs, self.study.directions)}: at least one must be the same (by "
                "name; without names, all directions must be). Give another study, or none"
            )
        return pairs


def _record(name: str, trials: Sequence[FrozenTrial]) -> dict[str, Any]:
    """What a study keeps of its source: the name, and the trials, which their digest identifies."""
    told = [(trial.params, trial.values) for trial in trials]
    digest = hashlib.sha256(json.dumps(told, default=repr).encode()).hexdigest()[:16]
    return {"study": name, "trials": [trial.number for trial in trials], "digest": digest}


def _is_same(study: Study, other: Study) -> bool:
    """Whether they are one study, maybe opened twice."""
    place = place_of(study._storage)
    one = study._storage is other._storage or (place and place == place_of(other._storage))
    return bool(one) and study.study_name == other.study_name


def learned_text(study: Study) -> str:
    """What a study learns from, as a sentence."""
    kept = study.user_attrs[SOURCE]
    return f"learns from {plural(len(kept['trials']), 'trial')} of study {kept['study']!r}"


def _chooses(trial: FrozenTrial) -> bool:
    return not all(distribution.single() for distribution in trial.distributions.values())


def _described(names: Sequence[str] | None, directions: Sequence[StudyDirection]) -> str:
    names = names or [f"objective {i}" for i in range(len(directions))]
    pairs = zip(names, directions, strict=True)
    return ", ".join(f"{name} ({direction.name.lower()})" for name, direction in pairs)
