"""From a finished trial back to its network."""

from __future__ import annotations

from typing import Any, cast

from optuna.study import Study
from optuna.trial import BaseTrial, FrozenTrial
from torch import nn

from optnas.errors import InputError
from optnas.objective import Objective
from optnas.trials import ARCHITECTURE


def rebuild(
    study: Study, objective: Objective, trial: FrozenTrial, *, trained: bool = True
) -> nn.Module:
    """The network of a trial, on the CPU and in evaluation mode.

    Args:
        study: The trial's study.
        objective: Made as when the trial ran.
        trial: Any trial that has suggested its architecture.
        trained: Whether to load the trained weights, which are kept for the front's members.

    Raises:
        InputError: The weights aren't there, or today's code makes another network of the
            trial's parameters (its string, or a count such as params or macs, is another).
    """
    candidate = objective.candidate(cast(BaseTrial, trial))
    found: dict[str, Any] = {ARCHITECTURE: str(candidate)}
    found |= {m.name: m.measure(candidate) for m in objective.metrics if m.exact}
    for name, value in found.items():
        stored = trial.user_attrs.get(name, value)
        if stored != value:
            raise InputError(
                f"trial {trial.number} has {name} {stored}, but today's code makes {value} of its "
                "parameters: put the search space back as it was"
            )
    if trained:
        if objective.weights is None:
            raise InputError("no weights are kept: the objective was made without `weights`")
        objective.weights.load(study, trial._trial_id, candidate.model)
    return candidate.model.eval()
