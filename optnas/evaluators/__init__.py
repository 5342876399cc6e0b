"""Evaluators find out how well a network does the task."""

from optnas.evaluators.abilities import (
    Configurable,
    KnowsData,
    Prepared,
    Rescoring,
    Retrainable,
    StandIn,
)
from optnas.evaluators.base import Evaluator
from optnas.evaluators.command import CommandEvaluator
from optnas.evaluators.distillation import Distillation
from optnas.evaluators.epoch_report import Report
from optnas.evaluators.function import FunctionEvaluator
from optnas.evaluators.quantized import Quantized
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.recipe_space import RecipeSpace
from optnas.evaluators.retraining import RetrainingEvaluator
from optnas.evaluators.shared_weights import SharedWeightsEvaluator
from optnas.evaluators.tabular import TabularEvaluator, nasbench201
from optnas.evaluators.training import TrainingEvaluator

__all__ = [
    "CommandEvaluator",
    "Configurable",
    "Distillation",
    "Evaluator",
    "FunctionEvaluator",
    "KnowsData",
    "Prepared",
    "Quantized",
    "Recipe",
    "RecipeSpace",
    "Report",
    "Rescoring",
    "Retrainable",
    "RetrainingEvaluator",
    "SharedWeightsEvaluator",
    "StandIn",
    "TabularEvaluator",
    "TrainingEvaluator",
    "nasbench201",
]


def __dir__() -> list[str]:
    return __all__
