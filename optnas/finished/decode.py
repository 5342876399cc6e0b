"""From a finished trial back to its network."""

from __future__ import annotations

import math
from typing import Any, cast

from optuna.study import Study
from optuna.trial import BaseTrial, FrozenTrial
from torch import nn

from optnas.candidate import Candidate
from optnas.errors import InputError, with_place
from optnas.evaluators import Evaluator
from optnas.objective.objective import Objective
from optnas.study.attributes import ARCHITECTURE
from optnas.utils.seeds import seeded


def decode(objective: Objective, trial: FrozenTrial) -> Candidate:
    """The candidate that a trial evaluated, untrained.

    Args:
        objective: Made as when the trial ran.
        trial: Any trial that has suggested its architecture.

    Raises:
        InputError: The trial has no architecture yet, or today's code makes another network of
            its parameters (its string, or a count such as params or macs, is another).
    """
    if ARCHITECTURE not in trial.user_attrs:
        raise InputError(
            f"trial {trial.number} ({trial.state.name}) has no architecture: none was drawn for it"
        )
    try:
        candidate = objective.candidate(cast(BaseTrial, trial))
    except InputError:
        raise
    except Exception as error:  # it asks for a parameter that the trial doesn't have, say
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


def recipe_of(evaluator: Evaluator, trial: FrozenTrial, seed: int = 0) -> Any:
    """The recipe that a trial drew, as an evaluator reads it.

    Raises:
        InputError: Today's evaluator draws what the trial hasn't.
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
    """The network of a trial with its trained weights, on the CPU and in evaluation mode.

    Args:
        study: The trial's study.
        objective: Made as when the trial ran.
        trial: A member of the front, for which weights are kept.

    Raises:
        InputError: The weights aren't there, or `decode` refuses the trial.
    """
    candidate = decode(objective, trial)
    if objective.weights is None:
        raise InputError("no weights are kept: the objective was made without `weights`")
    objective.weights.load(study, trial._trial_id, candidate.model)
    return candidate.model.eval()
