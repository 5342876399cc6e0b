"""Example inputs that are a batch of several are refused where the data shows it."""

import pytest
import torch
from optuna.trial import FixedTrial
from row_data import N, Rows
from torch import nn
from torch.utils.data import DataLoader

import optnas
from optnas.errors import InputError

X = torch.randn(N, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(N) % 3


class Named(nn.Linear):
    def forward(self, x, scale):
        return super().forward(x * scale)


class OfAll(nn.Linear):
    """Each row depends on all others, as a node of a graph does."""

    def forward(self, x):
        return super().forward(x - x.mean(0))


class OfAsMany(nn.Module):
    """A graph whose edges the network has: it takes all nodes."""

    def __init__(self, nodes):
        super().__init__()
        self.edges, self.layer = nn.Parameter(torch.eye(nodes)), nn.Linear(6, 3)

    def forward(self, x):
        return self.layer(self.edges @ x)


def look(model, example, row=lambda i: (X[i], Y[i]), data=None, **settings):
    loader = DataLoader(Rows(row), 8)
    data = data or optnas.Loaders(loader, loader, "classification", "rows")
    evaluator = optnas.TrainingEvaluator(data, 1, device="cpu", **settings)
    evaluator.look(model, example, evaluator.suggest(FixedTrial({})))


def test_a_batch_as_example_is_refused_with_what_to_give():
    with pytest.raises(InputError, match=r"is a batch of 5 examples, .*: give one, x\[:1\]$"):
        look(nn.Linear(6, 3), torch.zeros(5, 6))
    look(nn.Linear(6, 3), torch.zeros(1, 6))


def test_several_inputs_of_several_examples_are_refused():
    example = {"scale": torch.ones(4, 1), "x": torch.zeros(4, 6)}
    with pytest.raises(InputError, match=r"batch of 4 .*give one, \{name: x\[:1\] for name"):
        look(Named(6, 3), example, lambda i: ({"x": X[i], "scale": torch.ones(1)}, Y[i]))
    with pytest.raises(InputError, match=r"batch of 4 .*give one, tuple\(x\[:1\] for"):
        look(
            Named(6, 3),
            (example["x"], example["scale"]),
            lambda i: ((X[i], torch.ones(1)), Y[i]),
        )


@pytest.mark.parametrize("model", [OfAll(6, 3), OfAsMany(8)])
def test_rows_that_depend_on_each_other_are_no_batch(model):
    look(model, X[:8])


def test_an_example_without_a_batch_dimension_is_none_either():
    model = nn.Sequential(nn.Flatten(-2), nn.Linear(6, 3))
    look(model, X[0].view(2, 3), lambda i: (X[i].view(2, 3), Y[i]))


def test_a_step_hides_what_is_a_batch():
    def step(model, batch):
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    look(nn.Linear(6, 3), torch.zeros(5, 6), step=step, accuracy=False)


def test_arrays_say_it_before_the_first_trial():
    data = optnas.arrays(X.numpy(), Y.numpy())
    space = optnas.FunctionSpace(lambda trial: nn.Linear(6, 3), torch.zeros(8, 6))
    with pytest.raises(ValueError, match=r"has \(1, 6\): give one, x\[:1\]"):
        optnas.Objective(space, optnas.TrainingEvaluator(data), ("val_loss",))
