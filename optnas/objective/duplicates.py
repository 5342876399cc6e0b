"""Finds trials with the same architecture and recipe, so that nothing is trained twice."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from optuna import TrialPruned
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from optnas.storage.place import place_of
from optnas.storage.together import together
from optnas.study.attributes import (
    ARCHITECTURE,
    DETAIL,
    DUPLICATE_OF,
    FAILURE,
    RECIPE,
    STOPPED,
    is_counted,
    is_stopped,
)
from optnas.study.leases import is_alive, is_own, lease_of
from optnas.study.load import LONG

POLL = 0.5
"""Seconds between two reads of a trial that another worker is running."""


class Evaluated:
    """An index of a study's finished trials; each call reads only those that are new."""

    def __init__(self) -> None:
        self._study: tuple[str, int] | None = None
        self._seen: set[int] = set()
        self._complete: dict[tuple[str, str], int] = {}
        self._stopped: dict[tuple[str, str], int] = {}
        self._attrs: dict[str, dict[str, Any]] = {}

    def find(
        self,
        study: Study,
        trials: list[FrozenTrial],
        architecture: str,
        recipe: str,
        *,
        stopped: bool = False,
    ) -> FrozenTrial | None:
        """The first COMPLETE trial with this architecture and recipe.

        Args:
            study: The study; a call with another study starts the index anew.
            trials: All its trials, by number.
            architecture: The architecture's canonical string.
            recipe: The recipe's canonical string.
            stopped: Whether to return one that was stopped early if none is COMPLETE.
        """
        if self._study != (study.study_name, id(study._storage)):
            self._study = (study.study_name, id(study._storage))
            self._seen, self._complete, self._stopped, self._attrs = set(), {}, {}, {}
        for trial in trials:
            if trial.number not in self._seen and trial.state.is_finished():
                self._seen.add(trial.number)
                self._add(trial)
        number = self._complete.get((architecture, recipe))
        if number is None and stopped:
            number = self._stopped.get((architecture, recipe))
        return None if number is None else trials[number]

    def measured(self, architecture: str, names: Iterable[str]) -> dict[str, float]:
        """The numbers known of an architecture, as of the last `find`.

        Args:
            architecture: Its canonical string.
            names: Names of user attributes.

        Returns:
            Those of them that a finished trial which didn't fail has, each from the first such.
        """
        attrs = self._attrs.get(architecture, {})
        return {name: attrs[name] for name in names if name in attrs}

    def details(self, architecture: str, names: Iterable[str]) -> dict[str, Any]:
        """How those numbers were measured, by name, where it is known: their intervals, say.

        Args:
            architecture: Its canonical string.
            names: Names of user attributes.
        """
        return _details(self._attrs.get(architecture, {}), names)

    def _add(self, trial: FrozenTrial) -> None:
        attrs = trial.user_attrs
        # The code of a trial that failed may have been mended since.
        if isinstance(attrs.get(ARCHITECTURE), str) and FAILURE not in attrs:
            known = self._attrs.setdefault(attrs[ARCHITECTURE], {})
            for name, value in attrs.items():
                if isinstance(value, (int, float)):
                    known.setdefault(name, value)
            for name, detail in _details(attrs, known).items():
                if attrs.get(name) == known[name]:  # it is about that number
                    known.setdefault(f"{DETAIL}{name}", detail)
            if isinstance(attrs.get(RECIPE), str) and is_counted(trial):
                index = self._stopped if is_stopped(trial) else self._complete
                index.setdefault((attrs[ARCHITECTURE], attrs[RECIPE]), trial.number)


def await_same(
    study: Study, trials: list[FrozenTrial], own: FrozenTrial, architecture: str, recipe: str
) -> FrozenTrial | None:
    """Waits for an earlier trial that is running with the same architecture and recipe.

    A second training would take longer than the rest of that one. A trial waits only for earlier
    ones, so that no two wait for each other. It doesn't wait for a trial of its own process, which
    may be evaluating a batch one after the other.

    Args:
        study: The study.
        trials: All its trials, by number, as they were when `own` began.
        own: The trial that may wait.
        architecture: Its architecture's canonical string.
        recipe: Its recipe's canonical string.

    Returns:
        The other trial, once it is COMPLETE; None if there is none, or it ended in another state.
    """
    others = [
        t.number
        for t in trials[: own.number]
        if t.state == TrialState.RUNNING and not is_own(lease_of(t) or {})
    ]
    place = place_of(study._storage)
    while others:
        trials = study.get_trials(deepcopy=False)
        others = [
            number
            for number in others
            if _key(trials[number]) == (architecture, recipe)
            and (is_alive(trials[number], place) or trials[number].state == TrialState.COMPLETE)
        ]
        for number in others:
            if trials[number].state == TrialState.COMPLETE:
                return trials[number]
        if others:
            time.sleep(POLL)
    return None


def reuse(trial: Trial, original: FrozenTrial, names: Collection[str]) -> tuple[float, ...]:
    """Copies what another trial measured, and how.

    Args:
        trial: The running trial.
        original: A finished trial with the same architecture and recipe.
        names: Names of scores and metrics.

    Returns:
        The other trial's values.

    Raises:
        optuna.TrialPruned: The other trial was stopped early.
    """
    with together(trial):
        trial.set_user_attr(DUPLICATE_OF, original.number)
        for name in names:
            if name in original.user_attrs:
                trial.set_user_attr(name, original.user_attrs[name])
        for name, detail in _details(original.user_attrs, names).items():
            trial.set_user_attr(f"{DETAIL}{name}", detail)
        for name, value in original.constraints.items():
            trial.set_constraint(name, value)
        if original.values is None:
            trial.set_user_attr(STOPPED, original.user_attrs[STOPPED])
            raise TrialPruned(f"trial {original.number} was the same, and was stopped early")
    return tuple(original.values)


def _details(attrs: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The details of some names, but for long ones, which the first trial keeps alone."""
    keys = {name: f"{DETAIL}{name}" for name in names}
    return {name: attrs[key] for name, key in keys.items() if key in attrs and key not in LONG}


def _key(trial: FrozenTrial) -> tuple[Any, Any]:
    return trial.user_attrs.get(ARCHITECTURE), trial.user_attrs.get(RECIPE)
