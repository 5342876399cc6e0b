"""Evaluators by name, as the command line has them."""

from __future__ import annotations

from optnas.errors import InputError
from optnas.evaluators.base import Evaluator
from optnas.evaluators.shared_weights import SharedWeightsEvaluator
from optnas.evaluators.training import TrainingEvaluator


def by_name(name: str, evaluator: Evaluator) -> Evaluator:
    """The evaluator of a study, trained for real (`training`) or with shared weights (`shared`).

    Raises:
        InputError: There is no such name, or the evaluator is neither of these.
    """
    if name not in ("training", "shared"):
        raise InputError(f"evaluator must be training or shared, got {name!r}")
    if name_of(evaluator) == "":
        raise InputError(
            f"--evaluator is for studies whose evaluator is a TrainingEvaluator or a "
            f"SharedWeightsEvaluator; this one has a {type(evaluator).__name__}"
        )
    if name == "training":
        return evaluator.real
    if isinstance(evaluator, TrainingEvaluator):
        return SharedWeightsEvaluator(evaluator)
    return evaluator


def name_of(evaluator: Evaluator) -> str:
    """`training` or `shared`; empty for another evaluator."""
    if isinstance(evaluator, SharedWeightsEvaluator):
        return "shared"
    return "training" if isinstance(evaluator, TrainingEvaluator) else ""
