"""A fault of the data is told as one of the data, and not as a divergence of each network."""

import math

import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn

from optnas.candidate import Candidate
from optnas.datasets import Dataset, Loaders
from optnas.errors import CandidateError, InputError
from optnas.evaluators import TrainingEvaluator
from optnas.evaluators.epoch_report import Report

X = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
Y = X.sum(1, keepdim=True)
NAN, INF = float("nan"), float("inf")


def broken(tensor, value=NAN, row=7):
    found = tensor.clone()
    found[row] = value
    return found


def data(train=(X, Y), val=(X, Y)):
    return Dataset("made", "regression", train, val, (X, Y), outputs=1)


def score(given, build=lambda: nn.Linear(3, 1), example=X[:1], **settings):
    evaluator = TrainingEvaluator(given, 1, device="cpu", **settings)
    candidate = Candidate("network", example, build)
    return evaluator.evaluate(candidate, evaluator.suggest(FixedTrial({})), Report())


@pytest.mark.parametrize("value", [NAN, INF])
@pytest.mark.parametrize("part", ["train", "val"])
def test_numbers_that_a_network_makes_nothing_of_are_named(part, value):
    with pytest.raises(InputError, match="1 of 20 examples hold NaN or infinite numbers, and"):
        score(data(**{part: (broken(X, value), Y)}))
    with pytest.raises(InputError, match="1 of 20 targets hold NaN or infinite numbers"):
        score(data(**{part: (X, broken(Y, value))}))


def test_those_of_loaders_are_seen_in_the_first_batch():
    for batch in ((broken(X), Y), (X, broken(Y))):
        with pytest.raises(InputError, match="NaN or infinite"):
            score(Loaders([(X, Y)], [batch], "regression", "made"))


def test_networks_and_losses_that_take_them_may():
    class Filled(nn.Linear):
        def forward(self, x):
            return super().forward(x.nan_to_num())

    def of_known(outputs, targets):
        known = targets.isfinite()
        return (outputs[known] - targets[known]).square().mean()

    score(data((broken(X), Y), (broken(X), Y)), lambda: Filled(3, 1))
    score(data((X, broken(Y)), (X, broken(Y))), loss=of_known)


def test_a_network_that_diverges_is_at_fault_itself():
    class Divides(nn.Linear):
        def forward(self, x):
            return super().forward(x) / 0

    with pytest.raises(CandidateError, match="diverged"):
        score(data(), lambda: Divides(3, 1))


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_part_without_examples_is_refused_at_once(part):
    with pytest.raises(InputError, match=f"made: the part {part} has no examples"):
        TrainingEvaluator(data(**{part: (X[:0], Y[:0])}))


def test_held_out_targets_of_which_none_is_counted_are_named():
    y = torch.full((20,), -100)
    with pytest.raises(InputError, match="no target of the held-out part is counted"):
        score(
            Loaders([(X, torch.arange(20) % 2)], [(X, y)], "classification", "made"),
            lambda: nn.Linear(3, 2),
        )
    masks = Loaders(
        [(torch.zeros(2, 3, 4, 4), torch.ones(2, 4, 4).long())],
        [(torch.zeros(2, 3, 4, 4), torch.full((2, 4, 4), -1))],
        "segmentation",
        "made",
    )
    with pytest.raises(InputError, match="no target of the held-out part is counted"):
        score(masks, lambda: nn.Conv2d(3, 2, 1), torch.zeros(1, 3, 4, 4))


@pytest.mark.parametrize("value", [None, "much", torch.ones(2)])
def test_a_score_that_is_no_number_is_named(value):
    with pytest.raises(InputError, match=r"^f1 must be a number, got"):
        score(data(), scores={"f1": (lambda outputs, targets: value, "maximize")})


def test_scores_of_the_loss_stand_next_to_those_of_outputs():
    tokens = torch.randint(0, 5, (8, 4), generator=torch.Generator().manual_seed(0))
    found = score(
        Loaders([(tokens, tokens)], [(tokens, tokens)], "language", "made"),
        lambda: nn.Embedding(5, 5),
        tokens[:1],
        scores={"rows": (lambda outputs, targets: len(outputs), "maximize")},
    )
    assert found["rows"] == 8
    assert found["perplexity"] == pytest.approx(math.exp(found["val_loss"]))
