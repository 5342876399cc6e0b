"""The Pareto front of a study.

These functions work on any Optuna study, also on one that optnas hasn't made.
"""

from __future__ import annotations

from collections.abc import Sequence

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.dominance import losses, nondominated
from optnas.study.attributes import DUPLICATE_OF


def is_feasible(trial: FrozenTrial) -> bool:
    """Whether no constraint of the trial is broken."""
    return all(value <= 0 for value in trial.constraints.values())


def complete_trials(study: Study) -> list[FrozenTrial]:
    """The COMPLETE trials, by number."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def feasible_trials(
    study: Study, complete: Sequence[FrozenTrial] | None = None
) -> list[FrozenTrial]:
    """The COMPLETE trials without a broken constraint, by number.

    Args:
        study: The study.
        complete: Its COMPLETE trials, if the caller has read them already.
    """
    complete = complete_trials(study) if complete is None else complete
    return [trial for trial in complete if is_feasible(trial)]


def front(study: Study, complete: Sequence[FrozenTrial] | None = None) -> list[FrozenTrial]:
    """The feasible COMPLETE trials that no other one dominates, by number.

    A trial that reused the values of another one (same architecture, same recipe) is left out,
    because the other one represents it.

    Args:
        study: The study.
        complete: Its COMPLETE trials, if the caller has read them already.
    """
    trials = [t for t in feasible_trials(study, complete) if DUPLICATE_OF not in t.user_attrs]
    return front_of(trials, study.directions)


def front_of(
    trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]
) -> list[FrozenTrial]:
    """The trials that no other one among them dominates."""
    mask = nondominated(losses([t.values for t in trials], directions))
    return [trial for trial, kept in zip(trials, mask, strict=True) if kept]


def why_no_front(study: Study) -> str:
    """The message for a study whose front is empty."""
    n = len(complete_trials(study))
    if not n:
        return f"study {study.study_name!r} has no COMPLETE trial yet: run it first"
    return (
        f"study {study.study_name!r} has no front: each of its COMPLETE trials ({n}) breaks a "
        "bound; relax it, or search further"
    )
