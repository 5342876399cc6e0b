"""Evaluators by the names that the command line has for them."""

from __future__ import annotations

from optnas.errors import InputError
from optnas.evaluators.abilities import training_of
from optnas.evaluators.base import Evaluator
from optnas.evaluators.shared_weights import SharedWeightsEvaluator
from optnas.evaluators.training import TrainingEvaluator


def by_name(name: str, evaluator: Evaluator) -> Evaluator:
    """The evaluator of a study in another form: `training`, or `shared` for shared weights.

    Raises:
        InputError: There is no such name, or the evaluator has no such form.
    """
    if name not in ("training", "shared"):
        raise InputError(f"evaluator must be training or shared, got {name!r}")
    if name_of(evaluator) == "":
        raise InputError(
            f"`evaluator=` is for studies whose evaluator is a TrainingEvaluator or a "
            f"SharedWeightsEvaluator; this one has a {type(evaluator).__name__}"
        )
    if name == "training":
        return training_of(evaluator)
    if isinstance(evaluator, TrainingEvaluator):
        return SharedWeightsEvaluator(evaluator)
    return evaluator


def name_of(evaluator: object) -> str:
    """`training` or `shared`; empty for any other evaluator."""
    if isinstance(evaluator, SharedWeightsEvaluator):
        return "shared"
    return "training" if isinstance(evaluator, TrainingEvaluator) else ""
