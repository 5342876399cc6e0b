"""Residual networks: counts against published ones and a closed form, and the space's own rules."""

import math
from dataclasses import replace

import optuna
import pytest
import torch
from optuna.trial import FixedTrial

from optnas.errors import InputError
from optnas.metrics.counting import count_pass
from optnas.search_spaces import Encodable, ResNetSpace, ResNetStage
from optnas.search_spaces.resnet import ResNetArchitecture, ResNetBlocks
from optnas.testing import SpaceContract
from optnas.testing.spaces import architectures

IMAGENET = ResNetSpace.imagenet()
SMALL = ResNetSpace.small((1, 28, 28), 10)
MIXED = ResNetSpace(
    (3, 9, 9),
    5,
    (
        ResNetStage((0, 2), (4, 8), (1, 2), ("basic", "bottleneck"), (1, 2), (1, 2, 4)),
        ResNetStage((0, 3), (4, 12), (1, 2), ("bottleneck",), groups=(1, 4)),
        ResNetStage((1, 1), (4, 6), (2,), ("basic", "bottleneck"), (1, 3)),
    ),
    stem_widths=(3, 8),
    stem_kernel_sizes=(1, 3, 5, 7),
    stem_strides=(1, 2),
    stem_pools=(False, True),
)


class TestSmall(SpaceContract):
    space = SMALL
    samples = 10


class TestMixed(SpaceContract):
    space = MIXED


class TestOnStrips(SpaceContract):
    space = ResNetSpace.small((2, 1, 9), 3, stages=2)


class TestOnOnePixel(SpaceContract):
    space = ResNetSpace.small((4, 1, 1), 3, stages=2)


def closed_form(space, architecture):
    """Multiply-accumulates and parameters, written out layer by layer."""
    macs = params = 0

    def conv(size, inputs, out, kernel_size=1, stride=1, groups=1):
        nonlocal macs, params
        size = [math.ceil(n / stride) for n in size]
        weights = kernel_size**2 * inputs * out // groups
        macs += weights * size[0] * size[1]
        params += weights + 2 * out
        return size

    channels, *size = space.input_shape
    stem = architecture.stem_width
    size = conv(size, channels, stem, architecture.stem_kernel_size, architecture.stem_stride)
    size = [math.ceil(n / 2) for n in size] if architecture.stem_pool else size
    channels = stem
    for stage in architecture.stages:
        for i in range(stage.depth if stage else 0):
            stride, before = stage.stride if i == 0 else 1, size
            if stage.block == "basic":
                out = stage.width
                size = conv(before, channels, out, 3, stride)
                conv(size, out, out, 3)
            else:
                inner, out = stage.width * stage.inner_multiplier, stage.width * 4
                conv(before, channels, inner)
                size = conv(before, inner, inner, 3, stride, stage.groups)
                conv(size, inner, out)
            if stride > 1 or channels != out:
                conv(before, channels, out, 1, stride)
            channels = out
    return macs + channels * space.outputs, params + (channels + 1) * space.outputs


def counted(space, architecture):
    network = space.build(architecture).eval()
    params = sum(p.numel() for p in network.parameters())
    return count_pass(network, space.example_inputs).macs, params


def published(architecture, inner_multiplier, groups):
    return replace(
        architecture,
        stages=tuple(
            replace(stage, inner_multiplier=inner_multiplier, groups=groups)
            for stage in architecture.stages
        ),
    )


@pytest.mark.parametrize("space", [SMALL, MIXED], ids=["small", "mixed"])
def test_sixty_networks_have_the_counts_of_the_closed_form(space):
    for architecture, _ in architectures(space, 60):
        assert counted(space, architecture) == closed_form(space, architecture), architecture


@pytest.mark.parametrize(
    ("architecture", "params", "gigamacs"),
    [
        # torchvision's `num_params` and GFLOPS, which count as optnas counts MACs.
        (ResNetSpace.resnet18(), 11_689_512, 1.81),
        (ResNetSpace.resnet50(), 25_557_032, 4.09),
        (published(ResNetSpace.resnet50(), 2, 32), 25_028_904, 4.23),
    ],
    ids=["ResNet-18", "ResNet-50", "ResNeXt-50 32×4d"],
)
def test_published_networks_have_the_published_counts(architecture, params, gigamacs):
    with torch.device("meta"):  # large images through large networks: shapes alone
        network = IMAGENET.build(architecture).eval()
    macs = count_pass(network, IMAGENET.example_inputs.to("meta")).macs
    found = macs, sum(p.numel() for p in network.parameters())
    assert found[1] == params
    assert found[0] / 1e9 == pytest.approx(gigamacs, abs=0.005)
    assert found == closed_form(IMAGENET, architecture)
    study = optuna.create_study()
    study.enqueue_trial(IMAGENET.params_of(architecture))
    assert IMAGENET.suggest(study.ask()) == architecture


def test_resnet_20_for_cifar_has_0_27_million_parameters():
    """269,722 with shortcuts without weights, and the two convolutions in their place."""
    space = ResNetSpace.small((3, 32, 32), 10)
    shortcuts = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert counted(space, ResNetSpace.resnet_cifar(blocks=3))[1] == 269_722 + shortcuts


def test_resnet_8_is_a_point_of_the_small_space():
    resnet8 = ResNetSpace.resnet_cifar((1, 28, 28), blocks=1)
    params = SMALL.params_of(resnet8)
    assert SMALL.suggest(FixedTrial(params)) == resnet8
    assert str(resnet8) == "stem16-k3 | 1×basic 16 | 1×basic 32/2 | 1×basic 64/2"


def test_resnet_18_for_small_images_has_a_small_stem():
    narrow = ResNetSpace.resnet18((1, 28, 28), width=0.25, strides=(1, 1, 2, 2, 2))
    assert str(narrow) == ("stem16-k3 | 2×basic 16 | 2×basic 32/2 | 2×basic 64/2 | 2×basic 128/2")
    space = ResNetSpace.small((1, 28, 28), 10, depth=(0, 4), stages=4)
    assert space.suggest(FixedTrial(space.params_of(narrow))) == narrow


@pytest.mark.parametrize("space", [SMALL, MIXED, IMAGENET], ids=["small", "mixed", "imagenet"])
def test_params_of_is_the_inverse_of_suggest(space):
    assert isinstance(space, Encodable)
    for architecture, params in architectures(space, 30):
        assert space.params_of(architecture) == params


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stem_width": 5}, "stem.width is 5 in the architecture, and one of 4, 8, 16, 32 in"),
        ({"stages": (ResNetBlocks(3, 8),)}, "stage1.depth is 3 .* from 0 to 2"),
        ({"stages": (ResNetBlocks(1, 8, 1, "bottleneck", 1, 2),)}, "stage1.groups is 2 .* and 1"),
        ({"stages": (None,) * 3 + (ResNetBlocks(1, 8),)}, "stage4.depth is 1 .* and absent"),
    ],
)
def test_params_of_names_the_setting_that_the_space_lacks(change, message):
    architecture = ResNetArchitecture(8, 3, 1, False, ())
    with pytest.raises(InputError, match=message):
        SMALL.params_of(replace(architecture, **change))


def test_a_single_pixel_has_no_stride_and_no_pooling():
    for architecture, params in architectures(TestOnOnePixel.space, 10):
        assert not any(name.endswith(("stride", "pool", "kernel_size")) for name in params)
        assert not architecture.stem_pool
        assert all(stage is None or stage.stride == 1 for stage in architecture.stages)


def test_a_block_adds_its_input():
    blocks = ResNetBlocks(2, 4, 1, "bottleneck")
    network = SMALL.build(ResNetArchitecture(16, 3, 1, False, (blocks,))).eval()
    first, second = network.get_submodule("stage1")
    for block in (first, second):
        for parameter in block.body.parameters():
            torch.nn.init.zeros_(parameter)
    x = torch.rand(2, 16, 6, 6)
    torch.testing.assert_close(second(first(x)), x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ResNetStage((0, 0), (8,), (0,)), "strides must be"),
        (lambda: ResNetStage((1, 2), (8,), blocks=("dense",)), "among basic, bottleneck"),
        (lambda: ResNetStage((1, 2), (8, 12), groups=(8,)), "8 doesn't divide 12"),
        (lambda: ResNetSpace((1, 8, 8), 2, (), stem_pools=()), "False, True or both"),
        (lambda: ResNetSpace((1, 8, 8), 0, ()), "outputs must be"),
        (lambda: ResNetSpace.small((1, 8, 8), 2, stages=0), "from 1 to 4"),
        (lambda: ResNetArchitecture(8, 3, 1, False, (None,)), "last stage must not be empty"),
        (lambda: ResNetSpace.resnet18(strides=(1, 2)), "5 whole numbers, for the stem and each"),
        (lambda: ResNetSpace.resnet_cifar(blocks=0), "blocks must be"),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
