"""Tokens and lengths that a network can't take are named before anything is trained."""

import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import optnas
from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.evaluators import Report, TrainingEvaluator
from optnas.utils.inputs import map_inputs

N = 24
Y = torch.arange(N) % 2
GPT = optnas.GPTSpace(9, 6, (8,), (1, 1), (1,), head_width=8)
FIXED = {"widths": (4,), "depth": (1, 1), "dropout": (0.0, 0.0), "bidirectionals": (False,)}
TOKENS = optnas.SequenceSpace((6,), 2, vocabulary=9, kinds=("gru",), poolings=("mean",), **FIXED)
PADDED = optnas.SequenceSpace(
    (6,), 2, vocabulary=9, lengths=True, kinds=("gru",), poolings=("mean",), **FIXED
)
STEPS = optnas.SequenceSpace((6, 3), 2, lengths=True, kinds=("gru",), poolings=("last",), **FIXED)


class Own(nn.Module):
    """As people write them: the embedding isn't the first layer, and gets a tensor of its own."""

    def __init__(self):
        super().__init__()
        self.words, self.head = nn.Embedding(9, 4), nn.Linear(4, 2)

    def forward(self, ids):
        return self.head(self.words(ids + 0).mean(1))


def ids(last=8):
    found = torch.randint(0, 9, (N, 6), generator=torch.Generator().manual_seed(0))
    found[-1, -1] = last
    return found


def train(space, x, y=Y, task="classification", wrong_in="train"):
    """Trains one network on data of which one part has these inputs, and the others the first."""
    usual = map_inputs(lambda tensor: tensor[:1].expand_as(tensor), x)
    parts = {part: (x if part == wrong_in else usual, y) for part in ("train", "val", "test")}
    data = optnas.Dataset("given", task, **parts, outputs=9 if task == "language" else 2)
    return evaluate(space, data)


def evaluate(space, data, final=False, listeners=()):
    evaluator = TrainingEvaluator(data, 1, device="cpu")
    if final:
        evaluator = evaluator.retraining()
    if isinstance(space, type):
        candidate = Candidate("own", torch.zeros(1, 6, dtype=torch.int64), space)
    else:
        fixed = {"kind": "gru", "embedding_size": 8}
        architecture = space.suggest(FixedTrial(fixed))
        candidate = Candidate("", space.example_inputs, lambda: space.build(architecture))
    return evaluator.evaluate(candidate, evaluator.suggest(FixedTrial({})), Report(listeners))


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("space", [GPT, TOKENS, PADDED])
@pytest.mark.parametrize(
    ("token", "message"),
    [
        (9, "the token 9, and the network has vectors for the tokens 0 to 8.*vocabulary of 10"),
        (-1, "the token -1, and tokens are numbered from 0"),
    ],
)
def test_a_token_that_has_no_vector_is_named_wherever_it_is(space, part, token, message):
    x = {"x": ids(token), "lengths": torch.full((N,), 6)} if space is PADDED else ids(token)
    good = {"x": ids(), "lengths": x["lengths"]} if space is PADDED else ids()
    target = (Y[:, None].expand(N, 6), "language") if space is GPT else (Y, "classification")
    with pytest.raises(InputError, match=message):
        train(space, x, *target, wrong_in=part)
    assert train(space, good, *target, wrong_in=part)["val_loss"] > 0


def test_a_network_of_your_own_and_loaders_are_told_of_the_first_batch():
    x = ids(9).flip(0)
    with pytest.raises(InputError, match=r"the token 9.* give it a vocabulary of 10"):
        train(Own, x, wrong_in="val")
    loader = DataLoader(TensorDataset(x, Y), 8)
    with pytest.raises(InputError, match=r"the token 9.* give it a vocabulary of 10"):
        evaluate(TOKENS, optnas.Loaders(loader, loader, "classification", "v1"))


def test_tokens_behind_a_length_may_be_any():
    assert train(PADDED, {"x": ids(-100), "lengths": torch.full((N,), 5)})["val_loss"] > 0


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize(
    ("last", "dtype", "message"),
    [
        (0, torch.int64, r"from 1 to 6, the number of steps, got 0 \(1 of 24 are"),
        (7, torch.int64, r"from 1 to 6, the number of steps, got 7 \(1 of 24 are"),
        (6, torch.float32, r"got torch\.float32 of shape \(24,\): give lengths\.long\(\)"),
    ],
)
def test_lengths_are_from_1_to_the_number_of_steps(part, last, dtype, message):
    lengths = torch.arange(N) % 6 + 1
    lengths[-1] = last
    x = {"x": torch.randn(N, 6, 3), "lengths": lengths.to(dtype)}
    with pytest.raises(InputError, match=message):
        train(STEPS, x, wrong_in=part)
    x["lengths"] = lengths.clamp(1, 6).to(torch.int32)
    assert train(STEPS, x, wrong_in=part)["val_loss"] > 0


@pytest.mark.parametrize(
    ("space", "x", "message"),
    [
        (TOKENS, ids(9), "the token 9, and the network has vectors for the tokens 0 to 8"),
        (Own, ids(9).flip(0), "the token 9"),
        (
            STEPS,
            {"x": torch.randn(N, 6, 3), "lengths": torch.arange(N) % 6},
            "from 1 to 6, the number of steps, got 0",
        ),
    ],
)
def test_the_test_part_is_checked_before_a_network_is_retrained(space, x, message):
    usual = map_inputs(lambda tensor: tensor[1:2].expand_as(tensor), x)
    data = optnas.Dataset("given", "classification", (usual, Y), (usual, Y), (x, Y), 2)
    assert evaluate(space, data)["val_loss"] > 0
    epochs = []
    with pytest.raises(InputError, match=message):
        evaluate(space, data, final=True, listeners=[lambda *told: epochs.append(told)])
    assert not epochs
    good = optnas.Dataset("given", "classification", (usual, Y), (usual, Y), (usual, Y), 2)
    assert evaluate(space, good, final=True)["test_loss"] > 0


def test_the_first_classes_of_a_loaders_test_part_are_checked_before_a_retraining():
    def loader(y):
        return DataLoader(TensorDataset(ids(), y), 8)

    parts = loader(Y), loader(Y), "classification", "v1"
    data = optnas.Loaders(*parts, train_val=loader(Y), test=loader(Y + 7))
    epochs = []
    with pytest.raises(InputError, match="a target is class 8, and the model has 2 outputs"):
        evaluate(TOKENS, data, final=True, listeners=[lambda *told: epochs.append(told)])
    assert not epochs


def test_no_hook_stays_on_the_network():
    network = Own()
    evaluator = TrainingEvaluator(
        optnas.Dataset("d", "classification", (ids(), Y), (ids(), Y), (ids(), Y), 2), 1
    )
    evaluator.look(network, ids()[:1], evaluator.suggest(FixedTrial({})))
    assert not network.words._forward_pre_hooks
