"""A trial that is COMPLETE, or an error."""

from __future__ import annotations

from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.errors import InputError
from optnas.objective.objective import Objective
from optnas.search.settings import Search
from optnas.study.places import derived_seed, place, study_seed
from optnas.study.record import differences, listing, record_of

SPACE = "code of the space"
"""Under this key a study's fingerprint has what decides which network a trial's parameters make."""


def accepted_changes(
    study: Study,
    search: Search,
    objective: Objective,
    *,
    concerns: Callable[[str], bool],
    accept: bool,
) -> str:
    """What differs between the settings of a study and those of today.

    Args:
        study: The study; one that optnas keeps no record in has nothing to compare.
        search: What it was run with.
        objective: The search's.
        concerns: Which keys of the fingerprint matter.
        accept: Whether a difference is accepted.

    Returns:
        The differences that were accepted; empty if there are none.

    Raises:
        InputError: There are some, and they weren't.
    """
    old = record_of(study).get("fingerprint")
    if old is None:
        return ""
    changes = differences(old, search.fingerprint(objective))
    found = listing({key: both for key, both in changes.items() if concerns(key)})
    if found and not accept:
        raise InputError(
            f"study {study.study_name!r} was run with other settings ({found}): put them back, or "
            "go on all the same with --accept-changes"
        )
    return found


def fresh_candidate(
    objective: Objective, study: Study, trial: FrozenTrial, purpose: str, number: int
) -> Candidate:
    """A trial's candidate with a seed that no trial had: that of the purpose and the number."""
    at = place(trial, study.get_trials(deepcopy=False))
    seed = derived_seed(study_seed(study, objective.seed), at, f"{purpose} {number}")
    return objective.candidate(trial, seed)
