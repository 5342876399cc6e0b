"""The data stay as they are, whatever a network, a step or a loss does to what it is given."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from optnas.candidate import Candidate
from optnas.datasets import Dataset
from optnas.evaluators import Distillation, Recipe, TrainingEvaluator
from optnas.evaluators.calibration import Calibration
from optnas.evaluators.epoch_report import Report
from optnas.evaluators.feed import ArrayFeed


class Doubling(nn.Module):
    """A linear layer of doubled inputs, which it may double in place."""

    def __init__(self, in_place: bool):
        super().__init__()
        self.in_place, self.layer = in_place, nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x.mul_(2) if self.in_place else x * 2)


def made(n: int = 40) -> Dataset:
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(0))
    parts = [(x.clone(), (x.sum(1) > 0).long()) for _ in range(3)]
    return Dataset("made", "classification", *parts, outputs=2)


def scores(network, data: Dataset, **settings) -> list[float]:
    """The validation losses of two trainings, one after the other."""
    evaluator = TrainingEvaluator(data, 2, device="cpu", **settings)
    found = []
    for _ in range(2):
        candidate = Candidate("network", torch.zeros(1, 3), network, seed=1)
        recipe = evaluator.recipe.__class__(**vars(evaluator.recipe) | {"epochs": 2})
        found.append(evaluator.evaluate(candidate, recipe, Report())["val_loss"])
    return found


def step(model, batch):
    return model(batch[0]), batch[1]


@pytest.mark.parametrize("settings", [{}, {"step": step}])
def test_a_network_that_changes_its_inputs_scores_as_one_that_does_not(settings):
    data = made()
    before = data.val[0].clone()
    of_copies = scores(lambda: Doubling(False), made(), **settings)
    assert scores(lambda: Doubling(True), data, **settings) == of_copies
    assert torch.equal(data.val[0], before)


def test_a_loss_that_changes_its_targets_leaves_those_of_the_data():
    def loss(outputs, targets):
        return functional.cross_entropy(outputs, targets.fill_(0))

    data = made()
    before = data.val[1].clone()
    scores(lambda: Doubling(False), data, loss=loss)
    assert torch.equal(data.val[1], before)


@pytest.mark.parametrize("student", [False, True])
@pytest.mark.parametrize("teacher", [False, True])
def test_teacher_and_network_see_the_same_inputs(student, teacher):
    torch.manual_seed(0)
    weights = nn.Linear(3, 2).state_dict()

    def of(in_place: bool) -> Distillation:
        model = Doubling(in_place)
        model.layer.load_state_dict(weights)
        return Distillation(model)

    expected = scores(lambda: Doubling(False), made(), distillation=of(False))
    found = scores(lambda: Doubling(student), made(), distillation=of(teacher))
    assert found == expected


def test_the_examples_of_a_calibration_stay_for_the_next_network():
    data = made()
    calibration = Calibration(ArrayFeed(data.train, data.val, torch.device("cpu")))
    before = [x.clone() for x, _ in calibration.batches]
    calibration.apply(nn.Sequential(nn.BatchNorm1d(3), Doubling(True)), Recipe())
    calibration.apply(nn.Sequential(Doubling(True), nn.BatchNorm1d(2)), Recipe())
    assert all(torch.equal(x, y) for (x, _), y in zip(calibration.batches, before, strict=True))
