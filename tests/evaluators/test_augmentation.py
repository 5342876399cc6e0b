"""Augmentation, image by image against plain Python, and mixed targets against soft ones."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import optnas
from optnas.datasets.losses import cross_entropy, standard_loss
from optnas.errors import InputError
from optnas.evaluators import Recipe, SharedWeightsEvaluator, TrainingEvaluator
from optnas.evaluators.augmentation import Mixed, augmented
from optnas.evaluators.training_loss import training_loss
from optnas.search_spaces import MacroCNNSpace
from optnas.testing import EvaluatorContract
from optnas.utils.random_state import seeded

N, HEIGHT, WIDTH = 400, 5, 6
IMAGES = torch.rand(N, 2, HEIGHT, WIDTH) + 1  # no pixel is 0
LABELS = torch.arange(N) % 3
EVERYTHING = Recipe(flip=True, shift=1, cutout=2, mixup=0.4, label_smoothing=0.1)


def batch(recipe, x=IMAGES, y=LABELS, seed=0):
    with seeded(seed):
        ((found, targets),) = augmented([(x, y)], recipe)
    return found, targets


def test_a_recipe_without_augmentation_gets_the_batches_themselves():
    batches = [(IMAGES, LABELS)]
    assert augmented(batches, Recipe(label_smoothing=0.1)) is batches


def test_half_of_the_images_are_mirrored():
    found, targets = batch(Recipe(flip=True))
    assert targets is LABELS
    mirrored = 0
    for image, original in zip(found, IMAGES, strict=True):
        if not torch.equal(image, original):
            assert image.tolist() == [[row[::-1] for row in plane] for plane in original.tolist()]
            mirrored += 1
    assert mirrored == pytest.approx(N / 2, abs=3 * np.sqrt(N / 4))


def test_images_are_shifted_each_by_its_own_way():
    found, _ = batch(Recipe(shift=2))
    seen = set()
    for image, original in zip(found, IMAGES, strict=True):
        padded = torch.zeros(2, HEIGHT + 4, WIDTH + 4)
        padded[:, 2:-2, 2:-2] = original
        (way,) = [
            (down, right)
            for down in range(5)
            for right in range(5)
            if torch.equal(image, padded[:, down : down + HEIGHT, right : right + WIDTH])
        ]
        seen.add(way)
    assert len(seen) == 25


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_a_square_around_a_pixel_of_the_image_is_cut_out(side):
    found, _ = batch(Recipe(cutout=side))
    expected = set()
    for row in range(HEIGHT):
        for column in range(WIDTH):
            top, left = row - side // 2, column - side // 2
            expected.add(
                frozenset(
                    (y, x)
                    for y in range(max(top, 0), min(top + side, HEIGHT))
                    for x in range(max(left, 0), min(left + side, WIDTH))
                )
            )
    seen = set()
    for image, original in zip(found, IMAGES, strict=True):
        cut = image[0] == 0
        assert torch.equal(cut, image[1] == 0)
        assert torch.equal(image[:, ~cut], original[:, ~cut])
        seen.add(frozenset(map(tuple, cut.nonzero().tolist())))
    assert seen == expected
    assert len(expected) == HEIGHT * WIDTH  # each centre cuts out something else


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_mixed_examples_have_the_loss_of_mixed_targets(smoothing):
    recipe = Recipe(mixup=0.4, label_smoothing=smoothing)
    found, targets = batch(recipe)
    share = targets.share
    assert 0 < share < 1
    soft = torch.zeros(N, 3)
    for i, image in enumerate(found):
        # The other example is the one that was mixed in, and its target goes with it.
        rest = (image - share * IMAGES[i]) / (1 - share)
        other = int((IMAGES - rest).abs().flatten(1).max(1).values.argmin())
        assert torch.allclose(rest, IMAGES[other], atol=1e-3)
        assert (targets.first[i], targets.second[i]) == (LABELS[i], LABELS[other])
        soft[i, LABELS[i]] += share
        soft[i, LABELS[other]] += 1 - share
    outputs = torch.randn(N, 3)
    smooth = (1 - smoothing) * soft + smoothing / 3
    expected = -(smooth * outputs.log_softmax(1)).sum(1).mean()
    loss = training_loss(standard_loss(optnas.digits()), recipe)
    with pytest.raises(InputError, match="for 10 classes"):
        loss(outputs, targets)
    loss = training_loss(lambda o, t, **kw: cross_entropy(o, t, 3, **kw), recipe)
    assert float(loss(outputs, targets)) == pytest.approx(float(expected), rel=1e-5)


def test_mixed_numbers_have_the_gradient_of_their_means():
    outputs = torch.randn(20, 2, requires_grad=True)
    first, second = torch.randn(2, 20, 2)
    loss = training_loss(standard_loss(optnas.diabetes()), Recipe(mixup=1.0))
    loss(outputs, Mixed(first, second, 0.3)).backward()
    found, outputs.grad = outputs.grad, None
    functional.mse_loss(outputs, 0.3 * first + 0.7 * second).backward()
    assert torch.allclose(found, outputs.grad, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_are_drawn_from_the_beta_distribution(alpha):
    small = IMAGES[:4], LABELS[:4]
    with seeded(0):
        shares = [y.share for _, y in augmented([small] * 3000, Recipe(mixup=alpha))]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
    assert np.var(shares) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.08)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_layout_of_the_memory_stays(layout):
    found, _ = batch(EVERYTHING, IMAGES.contiguous(memory_format=layout))
    assert found.is_contiguous(memory_format=layout)
    assert torch.equal(found.contiguous(), batch(EVERYTHING)[0])


def test_each_batch_and_each_seed_is_changed_anew():
    with seeded(0):
        first, second = (x for x, _ in augmented([(IMAGES, LABELS)] * 2, EVERYTHING))
    assert not torch.equal(first, second)
    assert torch.equal(first, batch(EVERYTHING)[0])
    assert not torch.equal(first, batch(EVERYTHING, seed=1)[0])


def test_mixup_is_for_tables_too_and_not_for_tokens():
    table = torch.rand(6, 4)
    found, targets = batch(Recipe(mixup=0.4), table, torch.arange(6) % 2)
    assert found.shape == table.shape
    assert isinstance(targets, Mixed)
    with pytest.raises(InputError, match=r"these are torch\.int64"):
        batch(Recipe(mixup=0.4), torch.zeros(6, 4, dtype=torch.int64), torch.arange(6) % 2)


def pictures(n=60, side=8):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    return optnas.arrays(rng.normal(size=(n, 1, side, side)) + y[:, None, None, None], y)


class TestTrainingWithEverything(EvaluatorContract):
    evaluator = TrainingEvaluator(
        pictures(),
        2,
        Recipe(
            flip=True,
            shift=1,
            cutout=2,
            mixup=0.4,
            label_smoothing=0.1,
            ema_decay=0.9,
            schedule="one_cycle",
            warmup=0.2,
            max_grad_norm=1.0,
        ),
        device="cpu",
        epoch="best",
    )
    space = MacroCNNSpace((1, 8, 8), 2, depth=(1, 2), channels=(4, 16))


TABLE = optnas.arrays(np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 2)
TOKENS = optnas.arrays(np.ones((60, 5), dtype=int), np.arange(60) % 2, normalize=False)
LOADER = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*pictures().train), 16)
LOADERS = optnas.Loaders(LOADER, LOADER, "classification", "v1")


def targets_of(y, task="regression"):
    part = torch.zeros(4, 1, 8, 8), y
    return optnas.Dataset("masks", task, part, part, part, 1)


FLOAT_MASKS, MASKS = targets_of(torch.ones(4, 1, 8, 8)), targets_of(torch.ones(4, 8, 8))


@pytest.mark.parametrize(
    ("settings", "data", "loss", "message"),
    [
        ({"flip": True}, FLOAT_MASKS, None, r"are torch\.float32 of shape \(4, 1, 8, 8\)"),
        ({"shift": 2}, MASKS, None, r"class numbers of shape \(n, height, width\) alone"),
        ({"flip": True}, TABLE, None, r"flip is for images .* have the shape \(4,\)"),
        ({"shift": 1}, TABLE, None, "shift is for images"),
        ({"cutout": 1}, TOKENS, None, "cutout is for images"),
        ({"flip": True}, LOADERS, None, "Loaders change their own"),
        ({"shift": 8}, pictures(), None, "below the side of the images, 8 pixels, got 8"),
        ({"cutout": 9}, pictures(), None, "below the side of the images, 8 pixels, got 9"),
        ({"mixup": 0.1}, TOKENS, None, r"are torch\.int64"),
        ({"mixup": 0.1}, TABLE, nn.CrossEntropyLoss(), "mixup changes a built-in loss"),
    ],
)
def test_what_does_not_fit_the_data_is_refused(settings, data, loss, message):
    ((name, value),) = settings.items()
    searched = optnas.RecipeSpace(**{name: (getattr(Recipe, name), value)})
    for recipe in (Recipe(**settings), searched):
        with pytest.raises(ValueError, match=message):
            TrainingEvaluator(data, recipe=recipe, loss=loss)
    with pytest.raises(ValueError, match=message):
        SharedWeightsEvaluator(TrainingEvaluator(data, loss=loss), recipe=Recipe(**settings))


def test_loaders_and_regression_may_be_mixed():
    TrainingEvaluator(MASKS, recipe=Recipe(cutout=2))
    TrainingEvaluator(LOADERS, recipe=Recipe(mixup=0.2, label_smoothing=0.1))
    TrainingEvaluator(optnas.diabetes(), recipe=Recipe(mixup=0.2))


CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@CUDA
def test_batches_are_changed_on_a_gpu():
    x, targets = batch(EVERYTHING, IMAGES.cuda(), LABELS.cuda())
    assert x.device.type == targets.second.device.type == "cuda"
    assert torch.equal(x, batch(EVERYTHING, IMAGES.cuda(), LABELS.cuda())[0])
