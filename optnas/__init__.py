"""Multi-objective neural architecture optimization on Optuna."""

__version__ = "0.1.0"

from optnas.datasets import Dataset, Loaders, arrays, diabetes, digits
from optnas.errors import CandidateError, InputError
from optnas.evaluators import (
    Evaluator,
    FunctionEvaluator,
    Recipe,
    RecipeSpace,
    Report,
    TrainingEvaluator,
)
from optnas.idx import idx_images
from optnas.metrics import Flops, Latency, Macs, Metric, Params
from optnas.objective import Objective
from optnas.search import Search, best_model
from optnas.search_spaces import FunctionSpace, MacroCNNSpace, MLPSpace, ModelSpace, SearchSpace
from optnas.study_file import load_search

__all__ = [
    "CandidateError",
    "Dataset",
    "Evaluator",
    "Flops",
    "FunctionEvaluator",
    "FunctionSpace",
    "InputError",
    "Latency",
    "Loaders",
    "MLPSpace",
    "MacroCNNSpace",
    "Macs",
    "Metric",
    "ModelSpace",
    "Objective",
    "Params",
    "Recipe",
    "RecipeSpace",
    "Report",
    "Search",
    "SearchSpace",
    "TrainingEvaluator",
    "arrays",
    "best_model",
    "diabetes",
    "digits",
    "idx_images",
    "load_search",
]
