"""Example inputs that look like a batch are warned of where no data shows it."""

import logging

import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn

import optnas
from optnas.candidate import Candidate
from optnas.evaluators import FunctionEvaluator
from optnas.evaluators.epoch_report import Report

SEEN = "example_inputs looks like 5 examples"


def train(model, recipe, report):
    return {"loss": 1.0}


class Summed(nn.Module):
    """A sequence without a batch dimension: each step depends on those before it."""

    def forward(self, x):
        return x.cumsum(0)


class Reversed(nn.Module):
    """Each step depends on those after it."""

    def forward(self, x):
        return x.flip(0).cumsum(0).flip(0)


class Named(nn.Linear):
    def forward(self, x, scale, step):
        return {"logits": super().forward(x * scale) + step}


def trained(model, example, times=1):
    evaluator = FunctionEvaluator(train, {"loss": "minimize"})
    for _ in range(times):
        evaluator.evaluate(Candidate("network", example, lambda: model), "", Report())


def test_a_training_function_gets_a_warning_for_a_batch_once(caplog):
    trained(nn.Linear(6, 3), torch.randn(5, 6), times=2)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert SEEN in record.message
    assert "give one, x[:1]" in record.message


def test_several_inputs_are_seen(caplog):
    example = {"x": torch.randn(5, 6), "scale": torch.ones(5, 1), "step": torch.tensor(2.0)}
    trained(Named(6, 3), example)
    assert SEEN in caplog.text
    assert "give one, {name: x[:1]" in caplog.text


@pytest.mark.parametrize("model", [Summed(), Reversed(), nn.Flatten(0), nn.Linear(5, 3)])
def test_rows_of_one_example_are_no_batch(caplog, model):
    trained(model, torch.zeros(5, 6))
    assert not caplog.records


def test_one_example_needs_no_warning(caplog):
    trained(nn.Linear(6, 3), torch.randn(1, 6))
    assert not caplog.records


def test_the_network_and_the_random_numbers_stay(caplog):
    model = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3)).train()
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    trained(model, torch.randn(5, 6, generator=torch.Generator().manual_seed(1)))
    assert torch.rand(1) == expected
    assert model.training
    assert SEEN in caplog.text


def test_a_step_gets_the_warning_too(caplog):
    x, y = torch.randn(8, 6), torch.arange(8) % 3
    loaders = optnas.Loaders([(x, y)], [(x, y)], "classification", "rows")

    def step(model, batch):
        return model(batch[0]), batch[1]

    evaluator = optnas.TrainingEvaluator(loaders, 1, device="cpu", step=step)
    recipe = evaluator.suggest(FixedTrial({}))
    evaluator.look(nn.Linear(6, 3), torch.randn(5, 6), recipe)
    assert SEEN in caplog.text
