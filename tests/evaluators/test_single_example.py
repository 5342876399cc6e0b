"""A last batch of one example, in a loader of the user's, and a network with BatchNorm."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import optnas
from optnas.errors import InputError
from optnas.evaluators.single_example import explained_single_example


def build(trial):
    width = trial.suggest_int("width", 4, 6)
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 2))


def loaders(**settings):
    data = TensorDataset(torch.randn(9, 3), torch.randint(2, (9,)))
    batches = DataLoader(data, batch_size=4, **settings)
    return optnas.Loaders(batches, DataLoader(data, batch_size=4), "classification", "nine")


def search(evaluator, tmp_path):
    return optnas.Search(
        space=optnas.FunctionSpace(build, torch.zeros(1, 3)),
        evaluator=evaluator,
        objectives=("val_loss", "params"),
        sampler="random",
        trials=1,
        device="cpu",
        name="nine",
        storage=f"sqlite:///{tmp_path}/nine.db",
    )


@pytest.mark.parametrize("shared", [False, True])
def test_a_last_batch_of_one_gets_a_sentence(shared, tmp_path):
    recipe = optnas.Recipe(learning_rate=0.01)
    evaluator = optnas.TrainingEvaluator(loaders(), epochs=1, recipe=recipe)
    if shared:
        evaluator = optnas.SharedWeightsEvaluator(evaluator, steps=3)
    with pytest.raises(InputError, match=r"has one example.*drop_last=True"):
        search(evaluator, tmp_path).run()


def test_another_error_of_a_network_stays_as_it_is():
    with pytest.raises(ValueError, match="something else"), explained_single_example():
        raise ValueError("something else")


def test_a_loader_that_leaves_it_out_trains(tmp_path):
    study = search(optnas.TrainingEvaluator(loaders(drop_last=True), epochs=1), tmp_path).run()
    assert study.trials[0].state.name == "COMPLETE"
