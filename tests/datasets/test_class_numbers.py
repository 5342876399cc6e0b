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


@pytest.mark.parametrize("of", ["pixels", "examples"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_batch_in_which_nothing_is_counted_trains_nothing(of, smoothing):
    outputs = (LOGITS if of == "pixels" else LOGITS[:, :, 0, 0]).clone().requires_grad_()
    loss = cross_entropy(outputs, torch.full_like(outputs[:, 0], -100).long(), 3, smoothing)
    loss.backward()
    assert loss == 0
    assert not outputs.grad.any()


def test_a_small_type_of_targets_has_no_class_that_is_left_out():
    """In uint8, -100 is 156."""
    outputs = torch.zeros(4, 200)
    targets = torch.tensor([156, 0, 0, 156], dtype=torch.uint8)
    assert accuracy(outputs, targets) == 0.5


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


WHOLE = [torch.uint8, torch.int16, torch.int32, torch.int64]


@pytest.mark.parametrize("dtype", WHOLE)
@pytest.mark.parametrize(
    ("loss", "logits", "y"),
    [
        (ENTROPY, LOGITS[:, :, 0, 0], MASK[:, 0, 0]),
        (ENTROPY, LOGITS, MASK),
        (TokenCrossEntropy(3), LOGITS.flatten(2).movedim(1, -1), MASK.flatten(1)),
        (PixelCrossEntropy(3), LOGITS, MASK),
        (PixelDice(3), LOGITS, MASK),
        (MeanIoU(), LOGITS, MASK),
        (accuracy, LOGITS, MASK),
    ],
)
def test_whole_numbers_of_any_type_are_class_numbers(dtype, loss, logits, y):
    assert loss(logits, y.to(dtype)) == loss(logits, y)


@pytest.mark.parametrize("dtype", [*WHOLE, torch.bool])
def test_labels_of_a_dataset_are_int64_as_pytorch_takes_them(dtype):
    y = (torch.arange(24) % 2).to(dtype)
    data = optnas.Dataset("given", "classification", *[(torch.randn(24, 4), y)] * 3, 2)
    assert all(part[1].dtype == torch.int64 for part in (data.train, data.val, data.test))
    evaluator = TrainingEvaluator(data, 1, loss=nn.CrossEntropyLoss(), device="cpu")
    candidate = Candidate("a layer", torch.zeros(1, 4), lambda: nn.Linear(4, 2), 0)
    assert evaluator.evaluate(candidate, evaluator.suggest(None), Report())["val_loss"] > 0


@pytest.mark.parametrize(
    ("task", "space", "shape"),
    [
        ("classification", optnas.MLPSpace((4,), 2), ()),
        ("segmentation", optnas.UNetSpace((1, 4, 4), 2, levels=(1, 1), widths=(4,)), (4, 4)),
        ("language", optnas.GPTSpace(2, 4, (8,), (1, 1), (1,), head_width=8), (4,)),
    ],
)
def test_float_labels_are_refused_with_the_line_that_makes_whole_numbers(
    tmp_path, task, space, shape
):
    y = torch.zeros(24, *shape)
    y[::2] = 1
    x = y.long() if task == "language" else torch.randn(24, *space.example_inputs.shape[1:])
    data = optnas.Dataset("given", task, (x, y), (x, y), (x, y), 2)
    search = optnas.Search(
        space=space,
        evaluator=TrainingEvaluator(data, 1, device="cpu"),
        objectives=("val_loss", "params"),
        trials=1,
        storage=tmp_path / "study.db",
    )
    with pytest.raises(InputError, match=r"whole numbers.*float32.* give y\.long\(\)"):
        search.run(progress=False)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_the_line_for_pixels_to_be_left_out_works_on_masks_of_any_type(dtype):
    y = MASK.repeat(30, 1, 1).numpy().astype(dtype)
    y[:, 0] = 255
    x = np.random.default_rng(0).normal(size=(60, 1, 4, 4))
    for given, classes in ((y, None), (y, 3)):
        with pytest.raises(InputError, match="left out get a negative number") as caught:
            optnas.arrays(x, given, classes=classes)
        line = str(caught.value).rpartition("negative number (")[2].removesuffix(")")
        assert optnas.arrays(x, eval(line, {"np": np, "y": y}), classes=classes).outputs == 3
    torch_y = torch.from_numpy(y)
    for function in (
        lambda y: optnas.Dataset("given", "segmentation", *[(torch.zeros(len(y), 1), y)] * 3, 3),
        lambda y: ENTROPY(LOGITS.repeat(30, 1, 1, 1), y),
    ):
        with pytest.raises(InputError, match="left out: ") as caught:
            function(torch_y)
        line = str(caught.value).rpartition("left out: ")[2].removesuffix(")")
        function(eval(line, {"y": torch_y}))


@pytest.mark.parametrize("length", [1, 24])
def test_outputs_for_each_position_do_not_fit_one_class_for_each_example(length):
    """The targets were at fault in the message, which asked for what they were."""
    message = rf"returns shape \(9, {length}, 60\), and one class .* needs \(9, classes\): end the"
    with pytest.raises(InputError, match=message):
        ENTROPY(torch.zeros(9, length, 60), torch.zeros(9, dtype=torch.long))
