"""Class numbers: which are counted, in which range they must be, in every loss and score."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import optnas
from optnas.candidate import Candidate
from optnas.datasets.losses import accuracy, cross_entropy
from optnas.datasets.next_token import TokenCrossEntropy
from optnas.datasets.pixels import MeanIoU, PixelAccuracy, PixelCrossEntropy, PixelDice
from optnas.errors import InputError
from optnas.evaluators import Report, TrainingEvaluator
from optnas.evaluators.heads import Heads

LOGITS = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
ENTROPY = partial(cross_entropy, classes=3)
MASK = torch.arange(32).reshape(2, 4, 4) % 3


def parts(y, task="classification", outputs=2):
    """A dataset whose validation part has these targets."""
    x, usual = torch.zeros(len(y), 1), torch.zeros_like(y)
    return optnas.Dataset("given", task, (x, usual), (x, y), (x, usual), outputs)


@pytest.mark.parametrize("left_out", [-1, -100])
def test_a_negative_pixel_or_token_is_counted_nowhere(left_out):
    mask = MASK.clone()
    mask[:, 0] = left_out
    rest, pixels = LOGITS[:, :, 1:], MASK[:, 1:]
    wanted = float(functional.cross_entropy(rest, pixels))
    tokens = LOGITS.flatten(2).movedim(1, -1)
    for loss in (
        cross_entropy(LOGITS, mask, 3),
        PixelCrossEntropy(3)(LOGITS, mask),
        TokenCrossEntropy(3)(tokens, mask.flatten(1)),
        Heads({"mask": "cross_entropy"})({"mask": LOGITS}, {"mask": mask}),
    ):
        assert float(loss) == pytest.approx(wanted, rel=1e-6)
    right = (rest.argmax(1) == pixels).float().mean()
    assert accuracy(LOGITS, mask) == PixelAccuracy()(LOGITS, mask) == right


def test_a_batch_of_pixels_that_are_not_counted_trains_nothing():
    outputs = LOGITS.clone().requires_grad_()
    loss = cross_entropy(outputs, torch.full_like(MASK, -1), 3)
    loss.backward()
    assert loss == 0
    assert not outputs.grad.any()


def test_the_loss_and_the_accuracy_leave_out_the_same_whole_examples():
    logits, y = LOGITS[:, :, 0, 0].repeat(3, 1), torch.tensor([0, -100, 2, 1, -100, 1])
    some = y >= 0
    assert cross_entropy(logits, y, 3) == cross_entropy(logits[some], y[some], 3)
    assert accuracy(logits, y) == accuracy(logits[some], y[some])


@pytest.mark.parametrize(
    "function",
    [
        PixelCrossEntropy(),
        PixelDice(),
        PixelAccuracy(),
        MeanIoU(),
        partial(cross_entropy, classes=2),
    ],
)
def test_a_class_for_which_there_is_no_output_is_told_by_every_function(function):
    with pytest.raises(InputError, match=r"class 255, and the model has 3 outputs.*y != 255, -1"):
        function(LOGITS, MASK.where(MASK > 0, 255))


@pytest.mark.parametrize(
    ("y", "task", "message"),
    [
        (torch.tensor([0, 1, 2]), "classification", "part val is class 2, .* give outputs=3"),
        (torch.tensor([0, -1, 1]), "classification", "part val is class -1: .* the number -100"),
        (torch.tensor([-100, -100]), "classification", "of the part val are negative"),
        (torch.full((2, 4, 4), -1), "segmentation", "of the part val are negative"),
        (torch.full((2, 4), 3), "language", "part val is class 3"),
    ],
)
def test_targets_that_no_network_can_learn_are_refused_before_any_training(y, task, message):
    with pytest.raises(InputError, match=message):
        parts(y, task)
    assert parts(y.clamp(0, 1), task)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [(7, "a target is class 7, and the model has 3 outputs"), (-1, "is class -1: .*from 0")],
)
def test_a_wrong_class_in_a_later_batch_is_told_too(wrong, message):
    y = torch.arange(24) % 3
    y[20] = wrong
    rows = TensorDataset(torch.randn(24, 4), y)
    first = TensorDataset(torch.randn(6, 4), y[:6])
    loaders = optnas.Loaders(
        DataLoader(rows, batch_size=6), DataLoader(first, batch_size=6), "classification", "later"
    )
    evaluator = TrainingEvaluator(loaders, 1, device="cpu")
    candidate = Candidate("a layer", torch.zeros(1, 4), lambda: nn.Linear(4, 3), 0)
    with pytest.raises(InputError, match=message):
        evaluator.evaluate(candidate, evaluator.suggest(None), Report())


@pytest.mark.parametrize("normalize", [True, False])
def test_numbers_too_large_for_a_network_are_refused(normalize):
    x = np.random.default_rng(0).normal(size=(50, 3))
    y = np.arange(50) % 2
    with pytest.raises(InputError, match=r"too large for float32, such as -?\d.*e\+300"):
        optnas.arrays(x * 1e300, y, normalize=normalize)
    with pytest.raises(InputError, match="too large for float32"):
        optnas.arrays(x, x[:, 0] * 1e300)
    large = optnas.arrays(x * 1e39, y)  # beyond float32 itself, but not once it is scaled
    assert torch.allclose(large.train[0], optnas.arrays(x, y).train[0], atol=1e-5)
