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
    TabularEvaluator,
    TrainingEvaluator,
    nasbench201,
)
from optnas.idx import idx_images
from optnas.metrics import Flops, FunctionMetric, Latency, Macs, Metric, Params
from optnas.objective import Objective
from optnas.samplers import (
    HistorySampler,
    LocalSearchSampler,
    RegularizedEvolutionSampler,
    ReinforceSampler,
)
from optnas.search import Search, best_model
from optnas.search_spaces import (
    FunctionSpace,
    MacroCNNSpace,
    MLPSpace,
    ModelSpace,
    NASBench201Space,
    SearchSpace,
)
from optnas.study_file import load_search

__all__ = [
    "CandidateError",
    "Dataset",
    "Evaluator",
    "Flops",
    "FunctionEvaluator",
    "FunctionMetric",
    "FunctionSpace",
    "HistorySampler",
    "InputError",
    "Latency",
    "Loaders",
    "LocalSearchSampler",
    "MLPSpace",
    "MacroCNNSpace",
    "Macs",
    "Metric",
    "ModelSpace",
    "NASBench201Space",
    "Objective",
    "Params",
    "Recipe",
    "RecipeSpace",
    "RegularizedEvolutionSampler",
    "ReinforceSampler",
    "Report",
    "Search",
    "SearchSpace",
    "TabularEvaluator",
    "TrainingEvaluator",
    "arrays",
    "best_model",
    "diabetes",
    "digits",
    "idx_images",
    "load_search",
    "nasbench201",
]
