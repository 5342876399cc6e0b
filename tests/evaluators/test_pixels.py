"""A class for each pixel: losses and scores against plain Python, training, masks that move."""

import math

import numpy as np
import onnxruntime
import optuna
import pytest
import torch
from hypothesis import given, settings, strategies as st
from optuna.trial import FixedTrial
from torch import nn

import optnas
from optnas.candidate import Candidate
from optnas.datasets.losses import chance_scores
from optnas.datasets.pixels import (
    PIXEL_LOSSES,
    MeanIoU,
    PixelAccuracy,
    PixelCrossEntropy,
    PixelDice,
)
from optnas.errors import InputError
from optnas.evaluators import Recipe, Report, SharedWeightsEvaluator, TrainingEvaluator
from optnas.evaluators.augmentation import augmented
from optnas.evaluators.feed import HELD_OUT_BATCH_SIZE
from optnas.evaluators.held_out import HeldOut
from optnas.evaluators.training_loss import training_loss
from optnas.search_spaces import UNetSpace
from optnas.testing import EvaluatorContract
from optnas.utils.random_state import seeded

CLASSES = 3


@st.composite
def batches(draw):
    """Outputs and targets, some of which are left out, but not all."""
    n, height, width = (draw(st.integers(1, 4)) for _ in range(3))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    outputs = torch.tensor(rng.normal(0, 2, (n, CLASSES, height, width)), dtype=torch.float32)
    targets = torch.tensor(rng.integers(-1, CLASSES, (n, height, width)))
    targets[0, 0, 0] = 0
    return outputs, targets


def pixels(outputs, targets):
    """The shares of the classes of each pixel that counts, and its class, in plain Python."""
    for image, classes in zip(outputs.tolist(), targets.tolist(), strict=True):
        for i, row in enumerate(classes):
            for j, target in enumerate(row):
                if target >= 0:
                    powers = [math.exp(plane[i][j]) for plane in image]
                    yield [power / sum(powers) for power in powers], target


@settings(max_examples=40, deadline=None)
@given(batches())
def test_losses_and_scores_are_those_of_their_definitions(batch):
    found = list(pixels(*batch))
    entropy = sum(-math.log(p[t]) for p, t in found) / len(found)
    assert float(PixelCrossEntropy(CLASSES)(*batch)) == pytest.approx(entropy, rel=1e-4)
    smooth = sum(
        -math.log(p[c]) * (0.7 * (c == t) + 0.1) for p, t in found for c in range(CLASSES)
    ) / len(found)
    smoothed = PixelCrossEntropy(CLASSES)(*batch, label_smoothing=0.3)
    assert float(smoothed) == pytest.approx(smooth, rel=1e-4)

    dice, ratios = [], []
    for c in range(CLASSES):
        both = sum(p[c] for p, t in found if t == c)
        squares = sum(p[c] ** 2 for p, _ in found) + sum(t == c for _, t in found)
        dice.append((2 * both + 1) / (squares + 1))
        predicted = {i for i, (p, _) in enumerate(found) if p[c] == max(p)}
        true = {i for i, (_, t) in enumerate(found) if t == c}
        if predicted | true:
            ratios.append(len(predicted & true) / len(predicted | true))
    expected = 1 - sum(dice) / CLASSES
    assert float(PixelDice(CLASSES)(*batch)) == pytest.approx(expected, abs=1e-5)
    both = PIXEL_LOSSES["cross_entropy+dice"](CLASSES)(*batch)
    assert float(both) == pytest.approx(entropy + expected, rel=1e-4)
    assert float(MeanIoU()(*batch)) == pytest.approx(sum(ratios) / len(ratios))
    right = sum(p[t] == max(p) for p, t in found) / len(found)
    assert float(PixelAccuracy()(*batch)) == pytest.approx(right)


@settings(max_examples=20, deadline=None)
@given(st.lists(batches(), min_size=1, max_size=4), st.sampled_from(sorted(PIXEL_LOSSES)))
def test_batches_are_added_up_and_not_averaged(found, name):
    """The scores are those of all pixels at once; means over batches would be others."""
    loss = PIXEL_LOSSES[name](CLASSES)
    scores = {"val_mean_iou": MeanIoU(), "val_accuracy": PixelAccuracy()}
    summed = HeldOut(loss, scores)
    for outputs, targets in found:
        summed.add(outputs, targets, None)
    # One image a row, all pixels of all batches side by side.
    flat = torch.cat([outputs.movedim(1, 0).flatten(1) for outputs, _ in found], 1)[
        None, :, :, None
    ]
    classes = torch.cat([targets.flatten() for _, targets in found])[None, :, None]
    expected = {"val_loss": loss(flat, classes)} | {n: s(flat, classes) for n, s in scores.items()}
    assert summed.scores("val_loss") == pytest.approx(
        {n: float(value) for n, value in expected.items()}, rel=1e-4
    )


def test_a_score_of_the_users_takes_all_outputs_at_once_next_to_the_usual_ones():
    seen = []
    held_out = HeldOut(
        PixelCrossEntropy(2),
        {"val_mean_iou": MeanIoU(), "shape": lambda o, t: seen.append(o.shape) or float(len(t))},
    )
    targets = torch.tensor([[[0, 1]]])
    for _ in range(2):
        held_out.add(torch.zeros(1, 2, 1, 2), targets, None)
    found = held_out.scores("val_loss")
    assert seen == [(2, 2, 1, 2)]
    assert found == pytest.approx({"val_loss": math.log(2), "val_mean_iou": 0.25, "shape": 2})


def test_pixels_that_are_left_out_train_nothing():
    outputs = torch.randn(2, 3, 4, 4, requires_grad=True)
    targets = torch.randint(0, 3, (2, 4, 4))
    targets[:, 1] = -1
    for loss in PIXEL_LOSSES.values():
        outputs.grad = None
        loss(3)(outputs, targets).backward()
        assert not outputs.grad[:, :, 1].any()
        assert outputs.grad[:, :, 2].any()
    outputs.grad = None
    PixelCrossEntropy(3)(outputs, torch.full_like(targets, -1)).backward()
    assert not outputs.grad.any()


def test_dice_and_cross_entropy_fall_to_zero_for_perfect_predictions():
    targets = torch.randint(0, 3, (2, 4, 4))
    outputs = 50 * torch.nn.functional.one_hot(targets, 3).movedim(3, 1).float()
    for loss in PIXEL_LOSSES.values():
        assert float(loss(3)(outputs, targets)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("outputs", "targets", "message"),
    [
        ((2, 3, 4, 4), torch.zeros(2, 4, 5, dtype=torch.long), "as UNetSpace's do"),
        ((2, 3, 4, 4), torch.zeros(2, 4, 4), "whole numbers"),
        ((2, 3, 4, 4), torch.zeros(2, 1, 4, 4, dtype=torch.long), r"give y\[:, 0\]"),
        ((2, 3), torch.zeros(2, dtype=torch.long), "there are outputs of shape"),
        ((2, 2, 4, 4), torch.zeros(2, 4, 4, dtype=torch.long), "for 3 classes"),
    ],
)
def test_shapes_that_do_not_fit_are_named(outputs, targets, message):
    with pytest.raises(InputError, match=message):
        PixelCrossEntropy(3)(torch.zeros(outputs), targets)


def images(n=40, height=6, width=5, classes=3, seed=0):
    """Images whose brightness tells the class of a pixel."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, (n, height, width))
    return y[:, None] + rng.normal(0, 0.1, (n, 2, height, width)), y


def test_arrays_take_a_class_for_each_pixel():
    x, y = images()
    y[:, 0] = -1
    data = optnas.arrays(x, y)
    assert (data.task, data.outputs, data.input_shape) == ("segmentation", 3, (2, 6, 5))
    assert data.train[1].dtype == torch.int64
    assert data.train[1].shape == (24, 6, 5)
    assert optnas.arrays(x, y > 0).outputs == 2
    rare = np.zeros_like(y)
    rare[7, 3, 3] = 1
    assert all(optnas.arrays(x, rare, seed=seed).outputs == 2 for seed in range(5))


@pytest.mark.parametrize(
    ("change", "task", "message"),
    [
        (lambda x, y: (x, np.where(y == 2, 255, y)), None, r"no pixel has class 2 .* == 255, -1"),
        (lambda x, y: (x, y - 5), None, "all targets are negative"),
        (lambda x, y: (x, y[:, None]), "segmentation", r"give y\[:, 0\]"),
        (lambda x, y: (x[:, 0], y), "segmentation", r"x\[:, None\]"),
        (lambda x, y: (x, y[:, :3]), "segmentation", "a class for each pixel must be"),
        (lambda x, y: (x, y.astype(float)), None, r"y\.astype\(int\)"),
    ],
)
def test_targets_that_are_no_classes_of_pixels_are_refused(change, task, message):
    with pytest.raises(InputError, match=message):
        optnas.arrays(*change(*images()), task=task)


def test_the_scores_of_a_constant_prediction_are_known():
    x, y = images(n=200)
    y[y == 2] = np.where(np.random.default_rng(1).random((y == 2).sum()) < 0.5, 0, -1)
    data = optnas.arrays(x, y, classes=4)
    found = TrainingEvaluator(data).chance
    assert found == chance_scores(data)
    seen = torch.stack([(data.train[1] == c).sum() for c in range(4)]).float() + 1
    outputs = (seen / seen.sum()).log()[None, :, None, None].expand(len(data.val[1]), -1, 6, 5)
    for name, score in (
        ("val_loss", PixelCrossEntropy(4)),
        ("val_accuracy", PixelAccuracy()),
        ("val_mean_iou", MeanIoU()),
    ):
        assert found[name] == pytest.approx(float(score(outputs, data.val[1])), rel=1e-5)
    assert TrainingEvaluator(data, loss="dice").chance.keys() == {"val_accuracy", "val_mean_iou"}


SPACE = UNetSpace((2, 6, 5), 3, levels=(1, 2), widths=(4,), ups=("transposed", "bilinear"))
DATA = optnas.arrays(*images())


class TestTrainingOnPixels(EvaluatorContract):
    evaluator = TrainingEvaluator(
        DATA,
        2,
        Recipe(batch_size=8, flip=True, shift=1, cutout=1, mixup=0.2, label_smoothing=0.1),
        device="cpu",
    )
    space = SPACE


def test_a_network_learns_with_the_dice_loss_and_is_retrained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = Recipe(learning_rate=0.03, batch_size=4)
    evaluator = TrainingEvaluator(DATA, 12, recipe, loss="dice", device="cpu")
    assert dict(evaluator.provides) == {
        "val_loss": "minimize",
        "val_accuracy": "maximize",
        "val_mean_iou": "maximize",
    }
    assert evaluator.fingerprint["loss"] == "dice"
    search = optnas.Search(
        space=SPACE,
        evaluator=evaluator,
        objectives=("val_mean_iou", "params"),
        trials=1,
        name="p",
        seed=0,
    )
    found = search.run(progress=False)
    (trial,) = found.trials
    assert found.directions[0] == optuna.study.StudyDirection.MAXIMIZE
    assert trial.values[0] == trial.user_attrs["val_mean_iou"] > 0.5  # chance has 0.1
    result = optnas.retrain(found, search, trial.number, seeds=1, progress=False)
    tested = result.spreads()
    assert tested.keys() == {"test_loss", "test_accuracy", "test_mean_iou"}
    assert tested["test_mean_iou"].mean > 0.5  # chance has 0.1

    # The file takes any number of images, and its card says what comes out.
    optnas.export_model(found, search, trial.number, "pixels.onnx")
    session = onnxruntime.InferenceSession("pixels.onnx")
    (outputs,) = session.run(None, {session.get_inputs()[0].name: DATA.test[0].numpy()})
    iou = MeanIoU()(torch.from_numpy(outputs), DATA.test[1])
    assert float(iou) == pytest.approx(result.runs[0].scores["test_mean_iou"], abs=1e-6)
    card = (tmp_path / "pixels.onnx.md").read_text()
    assert "(examples, classes, height, width)" in card
    assert "outputs.argmax(1))  # the class of each pixel" in card


def test_cross_entropy_by_name_is_the_usual_loss():
    usual, named = TrainingEvaluator(DATA), TrainingEvaluator(DATA, loss="cross_entropy")
    assert usual.fingerprint == named.fingerprint
    assert optnas.TrainingEvaluator(optnas.digits(), loss="cross_entropy").fingerprint["loss"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TrainingEvaluator(DATA, loss="focal"), "dice or cross_entropy[+]dice"),
        (
            lambda: TrainingEvaluator(optnas.digits(), loss="dice"),
            "give cross_entropy, or",
        ),
        (lambda: TrainingEvaluator(optnas.diabetes(), loss="dice"), "give mse_loss or l1_loss"),
        (
            lambda: TrainingEvaluator(DATA, recipe=Recipe(label_smoothing=0.2), loss="dice"),
            "label_smoothing changes the cross-entropy, and the loss is 'dice'",
        ),
        (
            lambda: SharedWeightsEvaluator(
                TrainingEvaluator(DATA, loss="dice"), recipe=Recipe(label_smoothing=0.2)
            ),
            "label_smoothing changes the cross-entropy",
        ),
        (lambda: TrainingEvaluator(DATA, scores={"val_f1": None}), "val_accuracy, val_mean_iou"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_usual_scores_can_be_dropped():
    assert set(TrainingEvaluator(DATA, accuracy=False).provides) == {"val_loss"}
    dropped = TrainingEvaluator(DATA, scores={"val_accuracy": None})
    assert set(dropped.provides) == {"val_loss", "val_mean_iou"}


def test_loaders_say_that_their_targets_are_pixels():
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*DATA.train), 8)
    loaders = optnas.Loaders(loader, loader, "segmentation", "v1")
    evaluator = TrainingEvaluator(loaders, 1, device="cpu")
    assert set(evaluator.provides) == {"val_loss", "val_accuracy", "val_mean_iou"}
    network = SPACE.build(SPACE.suggest(optuna.trial.FixedTrial({"levels": 1})))
    whole = TrainingEvaluator(optnas.Dataset("all", "segmentation", *[DATA.train] * 3, outputs=3))
    expected = whole.score_again(network, Recipe())
    assert evaluator.score_again(network, Recipe()) == pytest.approx(expected, rel=1e-5)


def test_masks_move_with_their_images():
    n, height, width = 200, 5, 6
    y = torch.arange(n * height * width).reshape(n, height, width)  # each pixel has its own class
    x = y[:, None].float() + 1  # no pixel is 0
    recipe = Recipe(flip=True, shift=2)
    with seeded(0):
        ((found, masks),) = augmented([(x, y)], recipe)
    inside = found[:, 0] > 0
    assert torch.equal(masks[inside].float() + 1, found[:, 0][inside])
    assert (masks[~inside] < 0).all()
    assert 0.5 < inside.float().mean() < 1
    with seeded(0):
        ((same, _),) = augmented([(x, torch.zeros(n, dtype=torch.int64))], recipe)
    assert torch.equal(found, same)  # classes of images take the same draws


def test_masks_stay_where_a_square_is_cut_out_and_are_mixed_by_their_losses():
    x, y = torch.rand(10, 1, 4, 4) + 1, torch.randint(0, 3, (10, 4, 4))
    with seeded(0):
        ((_, masks),) = augmented([(x, y)], Recipe(cutout=2))
        ((_, mixed),) = augmented([(x, y)], Recipe(mixup=0.4))
    assert masks is y
    outputs, entropy = torch.randn(10, 3, 4, 4), PixelCrossEntropy(3)
    shares = (
        mixed.share * nn.functional.one_hot(mixed.first, 3)
        + (1 - mixed.share) * nn.functional.one_hot(mixed.second, 3)
    ).movedim(3, 1)
    expected = -(shares * outputs.log_softmax(1)).sum(1).mean()
    loss = training_loss(entropy, Recipe(mixup=0.4))(outputs, mixed)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


def test_a_class_that_the_network_has_no_output_for_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = UNetSpace((2, 6, 5), 3, levels=(1, 1), widths=(4,))
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(DATA.train[0], DATA.train[1] + 253), 8
    )
    loaders = optnas.Loaders(loader, loader, "segmentation", "v1")
    search = optnas.Search(
        space=space, evaluator=TrainingEvaluator(loaders, 1), objectives=("val_loss",), trials=1
    )
    with pytest.raises(InputError, match=r"class 255, and the model has 3 outputs.*y != 255, -1"):
        search.run(progress=False)


def test_more_held_out_images_than_a_batch_are_scored_together():
    x, y = images(n=HELD_OUT_BATCH_SIZE + 200, height=2, width=2)
    data = optnas.Dataset(
        "many", "segmentation", *[(torch.tensor(x).float(), torch.tensor(y))] * 3, outputs=3
    )
    evaluator = TrainingEvaluator(data, 1, device="cpu")
    network = UNetSpace((2, 2, 2), 3).build(UNetSpace.unet((2, 2, 2), width=4, norm="batch"))
    found = evaluator.score_again(network, Recipe(epochs=1))
    with torch.no_grad():
        outputs = network.eval()(data.val[0])
    assert found["val_mean_iou"] == pytest.approx(float(MeanIoU()(outputs, data.val[1])), abs=1e-6)


@pytest.mark.parametrize("kind", [torch.uint8, torch.bool, torch.int32])
def test_masks_of_any_kind_of_whole_numbers_train_and_move(kind):
    x = torch.randn(12, 1, 6, 6)
    part = x, (x[:, 0] > 0).to(kind)
    data = optnas.Dataset("masks", "segmentation", part, part, part, outputs=2)
    recipe = optnas.Recipe(shift=1, flip=True)
    evaluator = TrainingEvaluator(data, epochs=1, recipe=recipe, device="cpu")
    network = torch.nn.Conv2d(1, 2, 1)
    candidate = Candidate("conv", x[:1], lambda: network)
    scores = evaluator.evaluate(candidate, evaluator.suggest(FixedTrial({})), Report())
    assert 0 <= scores["val_mean_iou"] <= 1
    assert evaluator.chance["val_accuracy"] >= 0.4
