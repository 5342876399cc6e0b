import inspect

import optnas

PUBLIC = [
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


def test_the_public_names_are_these():
    assert sorted(optnas.__all__) == sorted(PUBLIC)
    for name in PUBLIC:
        assert inspect.getdoc(getattr(optnas, name)), name
