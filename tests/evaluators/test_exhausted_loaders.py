"""A loader that gives its batches once: nothing is scored that wasn't trained."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import optnas
from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.evaluators import Recipe, Report, TrainingEvaluator

X, Y = torch.randn(40, 4, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2


class Once(IterableDataset):
    """Its examples come from a generator, as those of an open file."""

    def __init__(self):
        self._rows = zip(X, Y, strict=True)

    def __iter__(self):
        return self._rows

    def __len__(self):
        return len(X)


def fit(train, val, epochs=2):
    loaders = optnas.Loaders(train, val, "classification", "once")
    evaluator = TrainingEvaluator(loaders, epochs, device="cpu")
    model = nn.Linear(4, 2)
    candidate = Candidate("linear", (X[:1],), lambda: model)
    return evaluator.evaluate(candidate, Recipe(epochs=epochs), Report())


def test_an_exhausted_training_loader_is_an_error():
    with pytest.raises(InputError, match=r"no batch in epoch 2: .*let its `__iter__` begin anew"):
        fit(DataLoader(Once(), 8), DataLoader(TensorDataset(X, Y), 8))


def test_an_exhausted_validation_loader_is_an_error():
    with pytest.raises(InputError, match="the held-out part gave no batch"):
        fit(DataLoader(TensorDataset(X, Y), 8), DataLoader(Once(), 8))
