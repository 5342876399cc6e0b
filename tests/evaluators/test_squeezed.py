"""A network whose squeeze() takes the batch's dimension away, too, is told to squeeze one."""

import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn

from optnas.candidate import Candidate
from optnas.datasets import Dataset, Loaders
from optnas.errors import InputError
from optnas.evaluators import TrainingEvaluator
from optnas.evaluators.epoch_report import Report

X = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
Y = {"regression": X.sum(1), "classification": torch.arange(5) % 2}


class Squeezed(nn.Linear):
    def forward(self, x):
        return super().forward(x).squeeze()


def batches(task, *sizes):
    return list(zip(X.split(list(sizes)), Y[task].split(list(sizes)), strict=True))


@pytest.mark.parametrize(("task", "outputs"), [("regression", 1), ("classification", 2)])
@pytest.mark.parametrize(
    "make",
    [lambda t: Loaders(batches(t, 4, 1), batches(t, 5), t, "made"),
     lambda t: Loaders(batches(t, 5), batches(t, 4, 1), t, "made"),
     lambda t: Dataset("made", t, (X, Y[t]), (X[:1], Y[t][:1]), (X, Y[t]), outputs=2)],
    ids=["the last training batch", "the last validation batch", "one validation example"],
)  # fmt: skip
def test_a_batch_of_one_without_its_dimension_names_squeeze(task, outputs, make):
    evaluator = TrainingEvaluator(make(task), 1, device="cpu")
    candidate = Candidate("network", X[:1], lambda: Squeezed(3, outputs))
    with pytest.raises(InputError, match=r"write squeeze\(-1\) or flatten\(1\), say, in place of"):
        evaluator.evaluate(candidate, evaluator.suggest(FixedTrial({})), Report())
