"""Which architectures, with which recipes, a study has evaluated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optnas.trials import ARCHITECTURE, RECIPE


class Evaluated:
    """An index of a study's finished trials, kept up to date cheaply."""

    def __init__(self) -> None:
        self._study: tuple[str, int] | None = None
        self._seen: set[int] = set()
        self._complete: dict[tuple[str, str], int] = {}
        self._attrs: dict[str, dict[str, Any]] = {}

    def find(
        self, study: Study, trials: list[FrozenTrial], architecture: str, recipe: str
    ) -> FrozenTrial | None:
        """The first COMPLETE trial with this architecture and recipe.

        Args:
            study: The study; another one than last time starts the index anew.
            trials: All its trials, by number.
            architecture: The architecture's canonical string.
            recipe: The recipe's.
        """
        if self._study != (study.study_name, id(study._storage)):
            self._study = (study.study_name, id(study._storage))
            self._seen, self._complete, self._attrs = set(), {}, {}
        for trial in trials:
            if trial.number not in self._seen and trial.state.is_finished():
                self._seen.add(trial.number)
                self._add(trial)
        number = self._complete.get((architecture, recipe))
        return None if number is None else trials[number]

    def measured(self, architecture: str, names: Iterable[str]) -> dict[str, float]:
        """What is known of an architecture, each name from the first trial (as of `find`)."""
        attrs = self._attrs.get(architecture, {})
        return {name: attrs[name] for name in names if name in attrs}

    def _add(self, trial: FrozenTrial) -> None:
        attrs = trial.user_attrs
        if ARCHITECTURE in attrs:
            known = self._attrs.setdefault(attrs[ARCHITECTURE], {})
            for name, value in attrs.items():
                if isinstance(value, (int, float)):
                    known.setdefault(name, value)
            if RECIPE in attrs and trial.state == TrialState.COMPLETE:
                self._complete.setdefault((attrs[ARCHITECTURE], attrs[RECIPE]), trial.number)
