"""A trial that is COMPLETE, or an error."""

from __future__ import annotations

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optnas.errors import InputError
from optnas.finished.measure import choose_trial
from optnas.study.attributes import FAILURE, PRUNED


def complete_trial(study: Study, number: int) -> FrozenTrial:
    """The trial of this number; raises InputError if there is none, or it isn't COMPLETE."""
    trial = choose_trial(study, number)
    if trial.state != TrialState.COMPLETE:
        reason = trial.user_attrs.get(PRUNED) or trial.user_attrs.get(FAILURE)
        raise InputError(
            f"trial {number} is {trial.state.name}{f' ({reason})' if reason else ''}: give one "
            "that is COMPLETE (`optnas pareto` shows those of the front)"
        )
    return trial
