"""One trial of a study: by its number, or the best of the front in one objective."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optnas.errors import InputError
from optnas.pareto.dominance import losses
from optnas.pareto.front import front, why_no_front
from optnas.study.attributes import FAILURE, PRUNED


def best_in(study: Study, trials: Sequence[FrozenTrial], objective: int = 0) -> FrozenTrial:
    """The trial with the best value of one objective; of equal ones, the first.

    Args:
        study: The study.
        trials: At least one COMPLETE trial.
        objective: The position of the objective.
    """
    values = losses([trial.values for trial in trials], study.directions)
    return trials[int(values[:, objective].argmin())]


def choose_trial(study: Study, trial: int | None) -> FrozenTrial:
    """The trial of this number; without one, the front's best in the first objective.

    Raises:
        InputError: There is no such trial, or nothing to choose from.
    """
    trials = study.get_trials(deepcopy=False)
    if trial is not None:
        if not 0 <= trial < len(trials):
            there = f"0 to {len(trials) - 1}" if trials else "none"
            raise InputError(
                f"there is no trial {trial} in {study.study_name!r}; there are: {there}"
            )
        return trials[trial]
    members = front(study)
    if not members:
        raise InputError(f"{why_no_front(study)} (or give `trial=`)")
    return best_in(study, members)


def complete_trial(study: Study, number: int) -> FrozenTrial:
    """The COMPLETE trial of this number.

    Raises:
        InputError: There is none, or it isn't COMPLETE.
    """
    trial = choose_trial(study, number)
    if trial.state != TrialState.COMPLETE:
        reason = trial.user_attrs.get(PRUNED) or trial.user_attrs.get(FAILURE)
        raise InputError(
            f"trial {number} is {trial.state.name}{f' ({reason})' if reason else ''}: give one "
            "that is COMPLETE (`optnas pareto` shows those of the front)"
        )
    return trial
