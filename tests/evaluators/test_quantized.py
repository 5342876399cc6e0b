"""The evaluator that scores networks with 8-bit integers, too."""

import sys

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn

import optnas
from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.evaluators.abilities import configured
from optnas.testing import EvaluatorContract
from optnas.testing.common import generator_states

RNG = np.random.default_rng(0)
Y = np.arange(90) % 3
BLOBS = optnas.arrays(RNG.normal(size=(90, 4)) + 2 * Y[:, None], Y, name="blobs")
TRAINING = optnas.TrainingEvaluator(BLOBS, 2, device="cpu", epoch="best")


def build():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def evaluate(evaluator, seed=0):
    candidate = Candidate("", torch.zeros(1, 4), build, seed)
    report = optnas.Report()
    scores = evaluator.evaluate(candidate, evaluator.suggest(FixedTrial({})), report)
    return scores, report.curve, candidate.model


@pytest.mark.slow
class TestQuantized(EvaluatorContract):
    evaluator = optnas.Quantized(TRAINING, examples=20)
    space = optnas.MLPSpace((4,), 3, width=(8, 16), width_step=8)


def test_each_score_has_a_second_one_and_the_training_stays_as_it_is():
    evaluator = optnas.Quantized(TRAINING, examples=20)
    before = generator_states()
    scores, curve, model = evaluate(evaluator)
    assert generator_states() == before
    assert not model.training
    alone, alone_curve, trained = evaluate(TRAINING)
    assert {name: scores[name] for name in alone} == alone
    assert curve == alone_curve
    assert all(map(torch.equal, model.parameters(), trained.parameters()))
    assert list(scores) == list(evaluator.provides)
    assert list(scores) == ["val_loss", "val_accuracy", "val_loss.int8", "val_accuracy.int8"]
    assert evaluator.provides["val_accuracy.int8"] == "maximize"
    assert 0 < abs(scores["val_loss.int8"] - scores["val_loss"]) < 0.1


def test_its_settings():
    evaluator = optnas.Quantized(TRAINING, examples=20)
    fingerprint = evaluator.fingerprint
    assert fingerprint.pop("int8").startswith(
        "20 training examples, MinMax, u8s7, per channel, onn"
    )
    assert fingerprint == TRAINING.fingerprint
    assert evaluator.fingerprint != optnas.Quantized(TRAINING).fingerprint
    other = configured(evaluator, device="cpu", epochs=7)
    assert (other.training.epochs, other.examples, evaluator.training.epochs) == (7, 20, 2)
    assert evaluator.chance["val_accuracy.int8"] == TRAINING.chance["val_accuracy"]
    final = evaluator.retraining(epochs=3)
    names = ["test_loss", "test_accuracy", "test_loss.int8", "test_accuracy.int8"]
    assert list(final.provides) == names
    assert final.fingerprint["epochs"] == 3
    assert final.fingerprint["int8"] == evaluator.fingerprint["int8"]


class Odd(nn.Module):
    """A network that returns more than tensors."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return {"logits": self.layer(x), "name": "odd"}


def test_what_can_not_be_quantised_is_said_before_the_training(monkeypatch):
    evaluator = optnas.Quantized(TRAINING)
    monkeypatch.setattr(TRAINING, "evaluate", None)
    candidate = Candidate("", torch.zeros(1, 4), Odd)
    with pytest.raises(InputError, match="returns a dict, of which its file has only the tensors"):
        evaluator.evaluate(candidate, evaluator.suggest(FixedTrial({})), optnas.Report())
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        InputError, match=r"int8 needs the extra onnx: pip install 'optnas\[onnx\]'"
    ):
        optnas.Quantized(TRAINING)


class Branching(nn.Module):
    """A network that can't be traced."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else self.layer(-x)


@pytest.mark.parametrize(
    ("evaluator", "objectives"),
    [
        (optnas.Quantized(TRAINING), ("val_loss.int8", "params")),
        (TRAINING, ("val_loss", "model_size_mb.int8")),
    ],
)
def test_a_network_that_can_not_be_quantised_fails_its_trial_alone(evaluator, objectives):
    space = optnas.FunctionSpace(lambda trial: Branching(), torch.zeros(1, 4))
    study = optuna.create_study(directions=["minimize"] * 2)
    study.optimize(optnas.Objective(space, evaluator, objectives), 1)
    assert study.trials[0].state.name == "FAIL"
    assert "this network's code can't be traced" in study.trials[0].user_attrs["failure"]
