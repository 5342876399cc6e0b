"""Whether the weights that a search kept are those that its scores were computed with."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

from optuna.trial import FrozenTrial
from torch import nn

from optnas.candidate import copy_of
from optnas.evaluators import Evaluator, TrainingEvaluator
from optnas.evaluators.abilities import KnowsData, Rescoring
from optnas.finished.decode import recipe_of
from optnas.objective.objective import Objective
from optnas.study.artifacts import NAMED, WEIGHTS_DETAIL
from optnas.utils.text import named_numbers

TOLERANCE = 5e-3
"""Relative difference of two scores of the same weights: devices round differently."""
DOUBTFUL = "the weights may not be those that had these scores"
UNKNOWN = (
    f"{DOUBTFUL}: the training code doesn't say which it scored (call report.weights(model)), and "
    "only it could score them again"
)

log = logging.getLogger("optnas")


def origin_of_weights(objective: Objective, trial: FrozenTrial, model: nn.Module) -> str:
    """What is known of the weights that a search kept for a trial, as a sentence without a stop.

    Where the evaluator can score a network again, or at least its data is known, the weights are
    scored once. A warning is logged where they aren't those of the scores.

    Args:
        objective: The objective, made as when the trial ran.
        trial: The trial.
        model: Its network, with the weights that were kept. It stays as it is.
    """
    noted = str(trial.user_attrs.get(WEIGHTS_DETAIL, ""))
    if noted == NAMED:
        return f"they are {noted}"
    again = _scored(objective, trial, model)
    if not again:
        if noted:
            log.warning("the weights of trial %d are %s", trial.number, noted)
        return f"they are {noted}" if noted else UNKNOWN
    stored = {name: float(trial.user_attrs[name]) for name in again}
    if _equal(stored, again):
        return f"scored again, they give {named_numbers(again, ', ')}, as in the study"
    if not _equal(again, _scored(objective, trial, model)):
        return f"{DOUBTFUL}: scored twice, they give different scores"
    found = (
        f"scored again, they give {named_numbers(again, ', ')}, but the study has "
        f"{named_numbers(stored, ', ')}: they aren't the weights of the scores"
    )
    log.warning("the weights of trial %d: %s", trial.number, found)
    return found


def _scored(objective: Objective, trial: FrozenTrial, model: nn.Module) -> dict[str, float]:
    """The scores that the trial has too, computed again; empty where that isn't possible."""
    evaluator = objective.evaluator
    scorer = scorer_of(evaluator, objective.device)
    if scorer is None:
        return {}
    try:
        found = score_with(scorer, copy_of(model), trial)
    except Exception as error:  # of a person's code, or a device without memory
        log.debug("trial %d can't be scored again: %s", trial.number, error)
        return {}
    return {
        name: float(score)
        for name, score in found.items()
        if name in evaluator.provides and isinstance(trial.user_attrs.get(name), (int, float))
    }


def _equal(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return one.keys() == other.keys() and all(
        math.isclose(one[name], other[name], rel_tol=TOLERANCE, abs_tol=1e-6) for name in one
    )


def scorer_of(evaluator: Evaluator, device: str) -> Evaluator | None:
    """What can score a trained network as an evaluator does; it is `Rescoring`.

    Where only the data is known, that is a standard training with it. None where nothing can.
    """
    if isinstance(evaluator, Rescoring):
        return evaluator
    if isinstance(evaluator, KnowsData) and not evaluator.estimates:
        return TrainingEvaluator(evaluator.data, 1, device=device)
    return None


def score_with(scorer: Evaluator, model: nn.Module, trial: FrozenTrial) -> Mapping[str, float]:
    """The scores of a trial's trained network.

    Args:
        scorer: What `scorer_of` returned, or another evaluator that is `Rescoring`.
        model: The network, which may be moved to a device.
        trial: The trial, for its recipe.
    """
    assert isinstance(scorer, Rescoring)
    return scorer.score_again(model, recipe_of(scorer, trial))
