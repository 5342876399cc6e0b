import inspect

import optnas

PUBLIC = [
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


def test_the_public_names_are_these():
    assert sorted(optnas.__all__) == sorted(PUBLIC)
    for name in PUBLIC:
        assert inspect.getdoc(getattr(optnas, name)), name
