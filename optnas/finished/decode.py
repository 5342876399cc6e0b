"""From a finished trial back to its network.

`decode` makes the untrained network again, `rebuild` loads the weights that the search kept, and
`fresh_candidate` gives it new initial weights for another training. Today's code must make the
network that the trial had: `decode` compares the architecture and the counts with what the trial
stored, `accepted_changes` compares the study's settings with today's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

from optuna.study import Study
from optuna.trial import BaseTrial, FrozenTrial
from torch import nn

from optnas.candidate import Candidate
from optnas.errors import InputError, with_place
from optnas.evaluators import Evaluator
from optnas.evaluators.abilities import check_gives_weights
from optnas.objective.objective import Objective
from optnas.search.search import Search
from optnas.study.attributes import ARCHITECTURE
from optnas.study.fingerprint import differences, listing
from optnas.study.record import record_of
from optnas.study.seeds import derived_seed, study_seed
from optnas.study.trial_order import place
from optnas.utils.random_state import seeded

SPACE = "code of the space"
"""The key of a study's fingerprint that decides which network a trial's parameters make."""


def decode(objective: Objective, trial: FrozenTrial) -> Candidate:
    """The candidate that a trial evaluated, untrained.

    Args:
        objective: The objective, made as when the trial ran.
        trial: A trial in any state that has an architecture.

    Raises:
        InputError: The trial has no architecture yet, or today's code makes another network of its
            parameters: the architecture or a count such as params or macs differs.
    """
    if ARCHITECTURE not in trial.user_attrs:
        raise InputError(
            f"trial {trial.number} ({trial.state.name}) has no architecture: none was drawn for it"
        )
    try:
        candidate = objective.candidate(cast(BaseTrial, trial))
    except InputError:
        raise
    except Exception as error:  # for example, it asks for a parameter that the trial doesn't have
        raise InputError(
            f"today's code makes no network of the parameters of trial {trial.number} "
            f"({with_place(error)}): put the search space back as it was"
        ) from error
    stored = trial.user_attrs
    exact = {m.name: m for m in objective.metrics if m.exact and m.name in stored}
    found: dict[str, Any] = {ARCHITECTURE: str(candidate)}
    found |= {name: metric.measure(candidate) for name, metric in exact.items()}
    for name, value in found.items():
        if stored[name] == value:
            continue
        if name in exact and math.isclose(stored[name], value, rel_tol=exact[name].tolerance):
            continue
        raise InputError(
            f"trial {trial.number} has {name} {stored[name]}, but today's code makes {value} of "
            "its parameters: put the search space (or that metric) back as it was"
        )
    return candidate


def fresh_candidate(
    objective: Objective, study: Study, trial: FrozenTrial, purpose: str, number: int
) -> Candidate:
    """A trial's candidate with a seed that no trial of the study has.

    Args:
        objective: The objective, made as when the trial ran.
        study: The trial's study.
        trial: The trial.
        purpose: What the candidate is for; the seed is derived from it.
        number: Which seed of this purpose: 0, 1, …
    """
    at = place(trial, study.get_trials(deepcopy=False))
    seed = derived_seed(study_seed(study, objective.seed), at, f"{purpose} {number}")
    return objective.candidate(trial, seed)


def recipe_of(evaluator: Evaluator, trial: FrozenTrial, seed: int = 0) -> Any:
    """The recipe that a trial drew.

    Args:
        evaluator: The evaluator that suggests recipes.
        trial: The trial, whose parameters are read.
        seed: Seeds whatever else the evaluator draws.

    Raises:
        InputError: The evaluator suggests a parameter that the trial doesn't have.
    """
    try:
        with seeded(seed):
            return evaluator.suggest(cast(BaseTrial, trial))
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"today's code makes no recipe of the parameters of trial {trial.number} "
            f"({with_place(error)}): put the evaluator back as it was"
        ) from error


def rebuild(study: Study, objective: Objective, trial: FrozenTrial) -> nn.Module:
    """A trial's network with the weights that the search kept, on the CPU and in evaluation mode.

    Args:
        study: The trial's study.
        objective: The objective, made as when the trial ran.
        trial: A member of the front; the search keeps no other weights.

    Raises:
        InputError: There are no weights, or `decode` refuses the trial.
    """
    check_gives_weights(objective.evaluator)
    candidate = decode(objective, trial)
    objective.open_folders(study, write=False)
    if objective.weights is None:
        raise InputError("no weights are kept: the objective was made without `weights`")
    objective.weights.load(study, trial._trial_id, candidate.model)
    return candidate.model.eval()


def accepted_changes(
    study: Study,
    search: Search,
    objective: Objective,
    *,
    concerns: Callable[[str], bool],
    accept: bool,
) -> str:
    """Compares a study's settings with today's.

    Args:
        study: The study. One without a record (made in plain Optuna) has nothing to compare.
        search: The search that the study was run with.
        objective: The search's objective.
        concerns: Whether a key of the fingerprint matters.
        accept: Whether differences are accepted.

    Returns:
        The accepted differences in words; empty without any.

    Raises:
        InputError: There are differences, and they aren't accepted.
    """
    old = record_of(study).fingerprint
    if not old:
        return ""
    changes = differences(old, search.fingerprint(objective))
    found = listing({key: both for key, both in changes.items() if concerns(key)})
    if found and not accept:
        raise InputError(
            f"study {study.study_name!r} was run with other settings ({found}): put them back, or "
            "continue with `accept_changes=True`"
        )
    return found
