"""Proxies of the outputs of blocks: closed forms, and which blocks are found."""

import itertools
import math
from functools import partial

import numpy as np
import optuna
import pytest
import torch
from scipy.stats import entropy
from torch import nn

import optnas
from optnas import ZeroCost
from optnas.candidate import Candidate
from optnas.metrics.az_nas import _spectral_norm, expressivity, progressivity, trainability
from optnas.metrics.blocks import block_outputs
from optnas.search_spaces.nasbench201 import NASBench201Architecture, NASBench201Space
from optnas.testing import MetricContract
from optnas.utils.random_state import seeded

SIGNS = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=4)))
"""Sixteen examples of four features, whose covariance is the identity."""


class TestExpressivity(MetricContract):
    metric = ZeroCost("expressivity")


class TestProgressivity(MetricContract):
    metric = ZeroCost("progressivity")

    def test_is_finite_and_grows_with_the_width(self):
        assert all(math.isfinite(self.metric.measure(self.candidate(w))) for w in (64, 128))


class TestTrainability(MetricContract):
    metric = ZeroCost("trainability")

    def test_is_finite_and_grows_with_the_width(self):
        assert all(self.metric.measure(self.candidate(w)) < 0 for w in (64, 128))


def linear(*sizes):
    return nn.Sequential(*(nn.Linear(a, b) for a, b in itertools.pairwise(sizes)))


def blocks_of(model, inputs, seed=0):
    with seeded(seed):
        return block_outputs(model.train(), inputs, len(inputs))


def spectrum_entropy(weights):
    """Of the outputs of linear layers, one after the other, for uncorrelated inputs."""
    singular = np.linalg.svd(np.linalg.multi_dot([np.eye(4), *weights]), compute_uv=False)
    return entropy(singular**2)


def test_entropies_of_a_linear_network_in_closed_form():
    """The covariance of W₂W₁x is (W₂W₁)(W₂W₁)ᵀ, whose eigenvalues are squared singular values."""
    model = linear(4, 6, 3, 5, 2)
    blocks = blocks_of(model, SIGNS)
    assert [block.shape for block in blocks] == [(16, 6), (16, 3), (16, 5)]
    weights = [layer.weight.detach().double().numpy().T for layer in model]
    expected = [spectrum_entropy(weights[: n + 1]) for n in range(3)]
    assert expressivity(blocks) == pytest.approx(sum(expected), rel=1e-5)
    assert progressivity(blocks) == pytest.approx(min(np.diff(expected)), rel=1e-4)


def test_entropy_counts_every_position_and_ignores_means_and_scale():
    images = (SIGNS * torch.tensor([1.0, 2.0, 4.0, 0.0])).reshape(4, 2, 2, 4)
    expected = entropy([1, 4, 16])
    for block in (images, 0.1 * images + 2):
        assert expressivity([block]) == pytest.approx(expected, rel=1e-4)


def test_entropy_with_fewer_examples_than_channels():
    block = torch.randn(5, 40, generator=torch.Generator().manual_seed(0))
    eigenvalues = np.linalg.eigvalsh(np.cov(block.double().numpy().T)).clip(0)
    assert expressivity([block]) == pytest.approx(entropy(eigenvalues), rel=1e-6)


def score(sigma):
    return 2 - sigma - 1 / sigma


def test_trainability_of_a_linear_network_is_that_of_its_spectral_norms():
    model = linear(4, 6, 3, 2)
    blocks = blocks_of(model, torch.randn(100_000, 4))
    sigma = np.linalg.norm(model[1].weight.detach().numpy(), 2)
    with seeded(0):
        assert trainability(blocks) == pytest.approx(score(sigma), abs=0.02)


class Pooled(nn.Module):
    """A convolution of single pixels, and then the mean of each four."""

    def __init__(self, stride):
        super().__init__()
        self.layer = nn.Conv2d(3, 5, 1, stride=stride)
        self.pool = nn.AvgPool2d(2) if stride == 1 else nn.Identity()

    def forward(self, x):
        return self.pool(self.layer(x))


@pytest.mark.parametrize(("stride", "factor"), [(1, 0.5), (2, 1.0)])
def test_positions_before_a_smaller_image_count_as_channels(stride, factor):
    """The Jacobian of a mean of four is [W; W; W; W] / 4, that of a stride [W; 0; 0; 0]."""
    model = nn.Sequential(nn.Conv2d(2, 3, 1), Pooled(stride), nn.Flatten(), nn.Linear(20, 2))
    blocks = blocks_of(model, torch.randn(20_000, 2, 4, 4))
    assert [block.shape[1:] for block in blocks] == [(4, 4, 3), (2, 2, 5)]
    sigma = factor * np.linalg.norm(model[1].layer.weight.detach().numpy()[:, :, 0, 0], 2)
    with seeded(0):
        assert trainability(blocks) == pytest.approx(score(sigma), abs=0.05)


@pytest.mark.parametrize("sizes", [(9, 4, 5), (4, 9, 3), (4, 3, 9), (4, 8, 9)])
def test_a_spectral_norm_from_fewer_rows_than_columns_is_the_same(sizes):
    rows, a, b = sizes
    left, right = (torch.randn(rows, n, dtype=torch.float64) for n in (a, b))
    expected = np.linalg.norm(left.numpy().T @ right.numpy() / rows, 2)
    assert _spectral_norm(left, right) == pytest.approx(expected)


def test_odd_images_and_other_numbers_of_dimensions_fit_on_a_grid():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2, padding=1),
        nn.Upsample(scale_factor=2), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 5),
        nn.Linear(5, 2),
    )  # fmt: skip
    blocks = blocks_of(model, torch.randn(8, 3, 11, 11))
    assert [b.shape[1:] for b in blocks] == [(5, 5, 4), (3, 3, 4), (4, 4, 4), (5,)]
    assert math.isfinite(trainability(blocks))


def cell(*operations):
    return NASBench201Space(channels=4, cells=2).build(NASBench201Architecture(operations))


def test_the_cells_of_a_network_are_its_blocks():
    blocks = blocks_of(cell(*["nor_conv_1x1"] * 6), torch.randn(8, 3, 32, 32))
    sizes = [(32, 32, 4)] * 3 + [(16, 16, 8)] * 3 + [(8, 8, 16)] * 3
    assert [block.shape[1:] for block in blocks] == sizes


def test_a_block_that_hands_on_its_input_is_none():
    operations = ["none"] * 3 + ["skip_connect"] + ["none"] * 2
    blocks = blocks_of(cell(*operations), torch.randn(8, 3, 32, 32))
    assert [block.shape[-1] for block in blocks] == [4, 8, 16]  # the stem and two reductions


def test_a_layer_is_a_block_with_its_normalisation_and_activation():
    def build(inplace):
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace), nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3), nn.GroupNorm(2, 6), nn.Dropout(0.0), nn.GELU(), nn.Flatten(),
            nn.Linear(150, 2), nn.Softmax(1),
        )  # fmt: skip

    x = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    model = build(inplace=False)
    first, second = blocks_of(model, x)
    hidden = nn.functional.relu(model[:2](x))
    assert torch.equal(first, hidden.movedim(1, -1))
    assert torch.equal(second, model[3:8](hidden).movedim(1, -1))
    in_place = blocks_of(build(inplace=True), x)
    assert all(map(torch.equal, in_place, (first, second)))
    with seeded(1):
        expected = trainability([first, second])
    with seeded(1):
        assert trainability(in_place) == expected


class Held(nn.Module):
    def __init__(self, *parts):
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x):
        for part in self.parts:
            x = part(x)
        return x


class Residual(nn.Module):
    """Changes its input in place, as some networks do to save memory."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(torch.relu_(x)) + x


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = (nn.LSTM(a, b, batch_first=True) for a, b in ((4, 8), (8, 6)))
        self.last = nn.Linear(6, 2)

    def forward(self, x):
        return self.last(self.second(self.first(x)[0])[0][:, -1])


def transformer():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.Sequential(
        nn.Embedding(9, 8),
        nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
        nn.Linear(8, 9),
    )


@pytest.mark.parametrize(
    ("model", "shape", "expected"),
    [
        (Held(Held(*linear(4, 5, 6, 2))), (8, 4), [(5,), (6,)]),  # a wrapper is opened
        (Held(nn.Linear(4, 4), Residual(), Residual(), nn.Linear(4, 2)), (8, 4), [(4,)] * 3),
        (nn.Sequential(Held(*linear(4, 5, 6)), Held(nn.Linear(6, 2)), nn.Softmax(1)), (8, 4),
         [(5,), (6,)]),  # so are a body and a head
        (Recurrent(), (8, 5, 4), [(5, 8), (5, 6)]),
        (transformer(), (8, 7), [(7, 8)] * 3),
        (nn.Sequential(nn.Conv1d(4, 5, 3), nn.Conv1d(5, 6, 3), nn.Conv1d(6, 2, 3)), (8, 4, 9),
         [(7, 5), (5, 6)]),
        (linear(4, 5, 6, 2), (8, 3, 4), [(3, 5), (3, 6)]),  # a layer for each of three positions
    ],
)  # fmt: skip
def test_blocks_of_other_networks(model, shape, expected):
    tokens = isinstance(model, nn.Sequential) and isinstance(model[0], nn.Embedding)
    inputs = torch.randint(0, 9, shape) if tokens else torch.randn(shape)
    blocks = blocks_of(model, inputs)
    assert [tuple(block.shape[1:]) for block in blocks] == expected
    for proxy in (expressivity, progressivity, trainability):
        assert math.isfinite(proxy(blocks))
    assert not any(module._forward_hooks for module in model.modules())


def test_an_output_is_kept_as_it_was_when_the_next_block_changes_it_in_place():
    model = Held(nn.Linear(4, 4), Residual(), Residual(), nn.Linear(4, 2))
    first, second, _ = blocks_of(model, SIGNS)
    layer, residual, *_ = model.parts
    assert torch.equal(first, layer(SIGNS))
    assert (first < 0).any()
    assert torch.equal(second, residual(first.clone()))
    assert not SIGNS.requires_grad


def test_a_network_whose_block_is_constant_or_that_has_too_few_has_no_number():
    dead = blocks_of(cell(*["none"] * 6), torch.randn(4, 3, 32, 32))
    assert math.isnan(expressivity(dead))
    assert math.isnan(progressivity(dead))
    assert trainability(dead) == -math.inf
    one = blocks_of(linear(4, 3, 2), SIGNS)
    assert math.isfinite(expressivity(one))
    assert math.isnan(progressivity(one))
    assert math.isnan(trainability(one))
    assert math.isnan(expressivity(blocks_of(nn.Linear(4, 2), SIGNS)))


@pytest.mark.parametrize(
    ("proxy", "build", "message"),
    [
        ("expressivity", partial(nn.Linear, 4, 2), "it has no block before its last one"),
        ("progressivity", partial(linear, 4, 3, 2), "it has fewer than two blocks"),
        ("trainability", partial(linear, 4, 3, 2), "no gradient leads from a block to the one"),
    ],
)
def test_such_a_network_fails_its_trial_with_the_reason(proxy, build, message):
    with pytest.raises(optnas.CandidateError, match=f"{proxy} is nan: .*{message}"):
        ZeroCost(proxy).measure(Candidate("", torch.zeros(1, 4), build))


def test_the_network_s_own_initialisation_changes_nothing():
    def build(scale):
        model = linear(4, 8, 8, 2)
        for layer in model:
            nn.init.constant_(layer.weight, scale)
        return model

    for proxy in ("expressivity", "progressivity", "trainability"):
        values = {
            ZeroCost(proxy).measure(Candidate("", torch.zeros(1, 4), partial(build, scale)))
            for scale in (0.0, 0.1)
        }
        assert len(values) == 1


@pytest.mark.parametrize(
    "space",
    [
        optnas.MacroCNNSpace((1, 28, 28), 10),
        optnas.MobileSpace.small((3, 32, 32), 10),
        optnas.ResNetSpace.small((3, 32, 32), 10),
    ],
)
def test_the_blocks_of_the_package_s_spaces_are_found(space):
    with seeded(0):
        trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(0)).ask()
        model = space.build(space.suggest(trial))
        own = [m for m in model.modules() if type(m).__name__.endswith(("Block", "Residual"))]
        blocks = blocks_of(model, torch.randn(16, *space.example_inputs.shape[1:]))
    assert len(blocks) >= len(own) >= 2
    for proxy in (expressivity, progressivity, trainability):
        assert math.isfinite(proxy(blocks))


def test_a_batch_of_data_is_looked_at_too():
    data = optnas.arrays(SIGNS.numpy(), SIGNS.numpy()[:, :2], task="regression", name="signs")
    candidate = Candidate("", torch.zeros(1, 4), partial(linear, 4, 6, 5, 2))
    for proxy in ("expressivity", "progressivity", "trainability"):
        metric = ZeroCost(proxy, data=data)
        assert metric.measure(candidate) != ZeroCost(proxy).measure(candidate)
        assert metric.fingerprint["data"] == data.fingerprint
