"""Evaluators: how well a network does the task."""

from optnas.evaluators.base import Evaluator, Report
from optnas.evaluators.function import FunctionEvaluator
from optnas.evaluators.recipe import Recipe, RecipeSpace
from optnas.evaluators.retraining import RetrainingEvaluator
from optnas.evaluators.shared_weights import SharedWeightsEvaluator
from optnas.evaluators.tabular import TabularEvaluator, nasbench201
from optnas.evaluators.training import TrainingEvaluator

__all__ = [
    "Evaluator",
    "FunctionEvaluator",
    "Recipe",
    "RecipeSpace",
    "Report",
    "RetrainingEvaluator",
    "SharedWeightsEvaluator",
    "TabularEvaluator",
    "TrainingEvaluator",
    "nasbench201",
]
