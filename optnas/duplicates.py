"""Which architectures, with which recipes, a study has evaluated."""

from __future__ import annotations

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optnas.trials import ARCHITECTURE, RECIPE


class Evaluated:
    """An index of the COMPLETE trials by architecture and recipe, kept up to date cheaply."""

    def __init__(self) -> None:
        self._study: tuple[str, int] | None = None
        self._seen: set[int] = set()
        self._numbers: dict[tuple[str, str], int] = {}

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
            self._study, self._seen, self._numbers = (
                (study.study_name, id(study._storage)),
                set(),
                {},
            )
        for trial in trials:
            if trial.state == TrialState.COMPLETE and trial.number not in self._seen:
                self._seen.add(trial.number)
                attrs = trial.user_attrs
                if ARCHITECTURE in attrs and RECIPE in attrs:
                    self._numbers.setdefault((attrs[ARCHITECTURE], attrs[RECIPE]), trial.number)
        number = self._numbers.get((architecture, recipe))
        return None if number is None else trials[number]
