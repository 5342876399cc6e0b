import inspect
import subprocess
import sys

import pytest

import optnas

PUBLIC = [
    "CandidateError",
    "CellSpace",
    "CommandEvaluator",
    "Dataset",
    "Distillation",
    "Energy",
    "Evaluator",
    "Flops",
    "FunctionEvaluator",
    "FunctionMetric",
    "FunctionSpace",
    "GPTSpace",
    "GradientSampler",
    "HistorySampler",
    "InputError",
    "LanguageModelSampler",
    "Latency",
    "LoRASpace",
    "Loaders",
    "LocalSearchSampler",
    "MLPSpace",
    "MacroCNNSpace",
    "Macs",
    "Metric",
    "MobileSpace",
    "ModelSpace",
    "NASBench201Space",
    "Objective",
    "OptimisticPruner",
    "ParameterSpace",
    "Params",
    "PredictorSampler",
    "QLearningSampler",
    "Quantized",
    "RayCluster",
    "Recipe",
    "RecipeSpace",
    "RegularizedEvolutionSampler",
    "ReinforceSampler",
    "Report",
    "ResNetSpace",
    "Search",
    "SearchSpace",
    "SequenceSpace",
    "SharedWeightsEvaluator",
    "SlimSpace",
    "SlurmCluster",
    "Stage",
    "StagedSampler",
    "TabularEvaluator",
    "TabularSpace",
    "Target",
    "TrainingEvaluator",
    "UNetSpace",
    "ViTSpace",
    "ZeroCost",
    "arrays",
    "best_model",
    "choose",
    "cifar",
    "compare",
    "confirm",
    "diabetes",
    "digits",
    "export_model",
    "fits",
    "frame",
    "front",
    "hypervolume",
    "idx_images",
    "image_folder",
    "load_search",
    "measure",
    "measure_and_constrain",
    "measure_elsewhere",
    "nasbench201",
    "pick",
    "retrain",
    "text",
    "to_frame",
    "tokens",
]


ROOMS = ["callbacks", "datasets", "evaluators", "metrics", "plots", "samplers", "search_spaces"]


def test_the_public_names_are_these():
    assert sorted(optnas.__all__) == sorted(PUBLIC + ROOMS)
    assert set(optnas.__all__) <= set(dir(optnas))
    for name in PUBLIC + ROOMS:
        assert inspect.getdoc(getattr(optnas, name)), name


def test_torch_is_imported_when_it_is_needed():
    """It takes seconds; a worker that looks values up in a table, and `--help`, do without."""
    imports = "optnas.cli, optnas.runs.loop, optnas.study.record, sys"
    code = f"import {imports}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_an_attribute_that_is_not_there_is_named_with_the_one_that_was_meant():
    with pytest.raises(AttributeError, match=r"optnas has no 'Serch': did you mean Search\?"):
        _ = optnas.Serch
    with pytest.raises(AttributeError, match=r"no 'zzz': dir\(optnas\) lists what there is"):
        _ = optnas.zzz
    assert not hasattr(optnas, "__wrapped__")
