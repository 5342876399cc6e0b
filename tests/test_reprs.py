"""What a prompt shows of an object is one short line."""

import pytest
import torch
from torch.utils.data import DataLoader

import optnas
from optnas import datasets, evaluators, metrics, plots, samplers, search_spaces
from optnas.candidate import Candidate

DATA = optnas.diabetes()
TRAINING = optnas.TrainingEvaluator(DATA, 3)
LOADER = DataLoader(torch.utils.data.TensorDataset(*DATA.train), 64)


def score(model, recipe, report):
    return {"loss": 1.0}


@pytest.mark.parametrize(
    ("shown", "start"),
    [
        (DATA, "Dataset('diabetes', 'regression', 266/88/88 examples"),
        (optnas.Loaders(LOADER, LOADER, "regression", "v1"), "Loaders('v1', 'regression', 5/5 bat"),
        (Candidate("linear", torch.zeros(1, 4), lambda: None), "Candidate('linear', seed=0)"),
        (TRAINING, "TrainingEvaluator(Dataset('diabetes', "),
        (optnas.SharedWeightsEvaluator(TRAINING), "SharedWeightsEvaluator(TrainingEvaluator("),
        (TRAINING.retraining(), "RetrainingEvaluator(TrainingEvaluator("),
        (
            optnas.FunctionEvaluator(score, {"loss": "minimize"}),
            "FunctionEvaluator(score, {'loss': 'minimize'})",
        ),
        (
            optnas.TabularEvaluator({"a": {"loss": 1.0}}, {"loss": "minimize"}),
            "TabularEvaluator(1 architecture, {'loss': 'minimize'})",
        ),
        (
            optnas.Objective(optnas.MLPSpace((10,), 1), TRAINING, ("val_loss", "params")),
            "Objective(MLPSpace(",
        ),
    ],
)
def test_it_is_short_and_has_no_address(shown, start):
    text = repr(shown)
    assert text.startswith(start)
    assert len(text) < 500
    assert " at 0x" not in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "folder",
    [datasets, evaluators, metrics, plots, samplers, search_spaces],
    ids=lambda m: m.__name__,
)
def test_dir_lists_what_is_public(folder):
    assert dir(folder) == sorted(folder.__all__)
