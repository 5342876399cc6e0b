"""Mobile networks: counts against published ones and a closed form, and the space's own rules."""

import math

import optuna
import pytest
import torch
from optuna.trial import FixedTrial
from torch.nn import functional

from optnas.errors import InputError
from optnas.metrics.counting import count_pass
from optnas.search_spaces import Encodable, MobileSpace, MobileStage, space_size
from optnas.search_spaces.mobile import MobileArchitecture, MobileBlock
from optnas.testing import SpaceContract
from optnas.testing.spaces import architectures

SMALL = MobileSpace.small((1, 28, 28), 10)
MIXED = MobileSpace(
    (3, 9, 9),
    5,
    (
        MobileStage((0, 2), (4, 6), (1, 2), (3, 5, 7), (1, 2.5, 6), shared=()),
        MobileStage(
            (0, 3),
            (4, 8),
            (1, 2),
            operations=("identity", "mb3_k3", "mb6_k5"),
            squeeze_excitations=("none", "expanded", "input"),
            activations=("relu6", "hard_swish", "silu"),
        ),
        MobileStage(
            (1, 2),
            (6, 12),
            (1, 2),
            squeeze_excitations=("none", "input"),
            shared=("kernel_size", "expansion", "squeeze_excitation"),
        ),
    ),
    stem_widths=(3, 8),
    stem_strides=(1, 2),
    activations=("relu", "gelu"),
    head_widths=(0, 16),
    hidden_widths=(0, 12),
    resolutions=(5, 9, 12),
)


class TestSmall(SpaceContract):
    space = SMALL
    samples = 10


class TestMixed(SpaceContract):
    space = MIXED


class TestOnStrips(SpaceContract):
    space = MobileSpace.small((2, 1, 9), 3, depth=(1, 2), stages=2)


class TestOnOnePixel(SpaceContract):
    space = MobileSpace.small((4, 1, 1), 3, stages=2)


class TestAround(SpaceContract):
    space = MobileSpace.around(
        MobileSpace.mobilenet_v3_large((1, 12, 12), width=0.25, strides=(1, 1, 2, 1, 2, 1, 1)),
        (1, 12, 12),
        4,
    )
    samples = 5


class TestEfficientNet(SpaceContract):
    space = MobileSpace.efficientnet((3, 16, 16), 4, coefficients=(-6, -3))
    samples = 4


def kernels_of(size, kernel_size):
    """Kernels never reach beyond the image on all sides."""
    return min(kernel_size, 2 * max(size) - 1)


def closed_form(space, architecture):
    """Multiply-accumulates and parameters, written out layer by layer."""
    channels, *size = space.input_shape
    if architecture.resolution:
        size = [architecture.resolution] * 2
    macs = params = 0

    def conv(out, kernel_size, stride, groups=1):
        nonlocal channels, size, macs, params
        size = [math.ceil(n / stride) for n in size]
        weights = kernel_size**2 * channels * out // groups
        macs += weights * size[0] * size[1]
        params += weights + 2 * out
        channels = out

    def linear(inputs, out):
        nonlocal macs, params
        macs += inputs * out
        params += inputs * out + out

    conv(architecture.stem_width, kernels_of(size, 3), architecture.stem_stride)
    for blocks in architecture.stages:
        for block in blocks:
            inputs = channels
            if block.operation == "identity":
                if block.stride > 1 or inputs != block.width:
                    conv(block.width, 1, block.stride)
                continue
            hidden = round(inputs * block.expansion)
            if block.expansion > 1:
                conv(hidden, 1, 1)
            conv(hidden, block.kernel_size, block.stride, groups=hidden)
            if block.squeeze_excitation != "none":
                squeezed = max(1, inputs // 4)
                if block.squeeze_excitation == "expanded":
                    squeezed = max(8, math.floor(hidden / 4 / 8 + 0.5) * 8)
                    squeezed += 8 if squeezed < 0.9 * hidden / 4 else 0
                linear(hidden, squeezed)
                linear(squeezed, hidden)
            conv(block.width, 1, 1)
    if architecture.head_width:
        conv(architecture.head_width, 1, 1)
    if architecture.hidden_width:
        linear(channels, architecture.hidden_width)
        channels = architecture.hidden_width
    linear(channels, space.outputs)
    return macs, params


def counted(space, architecture):
    network = space.build(architecture).eval()
    params = sum(p.numel() for p in network.parameters())
    return count_pass(network, space.example_inputs).macs, params


@pytest.mark.parametrize("space", [SMALL, MIXED], ids=["small", "mixed"])
def test_sixty_networks_have_the_counts_of_the_closed_form(space):
    for architecture, _ in architectures(space, 60):
        assert counted(space, architecture) == closed_form(space, architecture), architecture


@pytest.mark.parametrize(
    ("architecture", "space", "params", "megamacs"),
    [
        # torchvision's `num_params` and GFLOPS, which count as optnas counts MACs. It has no
        # weights of width 0.5: its MACs are in the authors' table, with 1.95 million parameters.
        (MobileSpace.mobilenet_v2(), MobileSpace.proxyless(), 3_504_872, 300.8),
        (MobileSpace.mobilenet_v3_large(), MobileSpace.ofa_mbv3(), 5_483_032, 217),
        (MobileSpace.mobilenet_v2(width=0.5), MobileSpace.mnasnet(), 1_968_680, 97),
    ],
)
def test_published_networks_have_the_published_counts(architecture, space, params, megamacs):
    found = counted(space, architecture)
    assert found[1] == params
    assert found[0] / 1e6 == pytest.approx(megamacs, rel=0.004)
    assert found == closed_form(space, architecture)


def test_efficientnet_b0_is_the_multiplier_1():
    space = MobileSpace.efficientnet()
    one = {"depth_multiplier": 1.0, "width_multiplier": 1.0, "resolution": 224}
    b0 = space.suggest(FixedTrial(one))
    macs, params = counted(space, b0)
    assert params == 5_288_548
    assert macs / 1e6 == pytest.approx(386, rel=0.002)
    assert space.params_of(b0) == one


def test_compound_scaling_gives_the_depths_and_widths_of_efficientnet_b3():
    """The authors' B3: depth 1.4, width 1.2; its stages have 2, 3, 3, 5, 5, 6 and 2 blocks."""
    scaled = {"depth_multiplier": 1.4, "width_multiplier": 1.2, "resolution": 300}
    space = MobileSpace.efficientnet(coefficients=(0, 1), alpha=1.4, beta=1.2, gamma=300 / 224)
    b3 = space.suggest(FixedTrial(scaled))
    assert [len(blocks) for blocks in b3.stages] == [2, 3, 3, 5, 5, 6, 2]
    assert [blocks[0].width for blocks in b3.stages] == [24, 32, 48, 96, 136, 232, 384]
    assert (b3.stem_width, b3.head_width, b3.resolution) == (40, 1536, 300)
    network = space.build(b3)
    assert sum(p.numel() for p in network.parameters()) == 12_233_232


@pytest.mark.parametrize("space", [SMALL, MIXED, TestEfficientNet.space, TestAround.space])
def test_params_of_is_the_inverse_of_suggest(space):
    assert isinstance(space, Encodable)
    for architecture, params in architectures(space, 30):
        assert space.params_of(architecture) == params


@pytest.mark.parametrize("width", [0.25, 1.0])
@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_large"])
def test_a_published_network_is_a_trial_of_a_space_around_it(name, width):
    strides = (1, 1, 2, 2, 1, 1, 1) + (1,) * (name == "mobilenet_v2")
    base = getattr(MobileSpace, name)((1, 28, 28), width=width, strides=strides)
    space = MobileSpace.around(base, (1, 28, 28), 10)
    study = optuna.create_study()
    study.enqueue_trial(space.params_of(base))
    assert space.suggest(study.ask()) == base


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stem_width": 5}, "stem.width is 5 in the architecture, and one of 4, 8, 16, 24"),
        ({"activation": "gelu"}, "activation is gelu in the architecture, and relu in the space"),
        ({"stages": ((), (), (), (), (MobileBlock(24),))}, "stage5.depth is 1 .* and absent in"),
        ({"stages": ((MobileBlock(8),) * 3,)}, "stage1.depth is 3 .* from 0 to 2"),
        ({"stages": ((MobileBlock(8, 7),),)}, r"stage1.block1.kernel_size is 7 .* from 3 to 5"),
        ({"stages": ((MobileBlock(8), MobileBlock(12)),)}, "stage1.block2.width is 12 .* 8 in"),
        ({"resolution": 32}, "resolution is 32 .* and 28 in the space"),
        ({"hidden_width": 9}, "head.hidden_width is 9 .* and 0 in the space"),
    ],
)
def test_params_of_names_the_setting_that_the_space_lacks(change, message):
    settings = {"stem_width": 8, "stem_stride": 1, "activation": "relu", "stages": ()} | change
    with pytest.raises(InputError, match=message):
        SMALL.params_of(MobileArchitecture(**settings))


def test_a_setting_that_blocks_share_cannot_differ_between_them():
    blocks = (MobileBlock(8, activation="relu"), MobileBlock(8, activation="hard_swish"))
    with pytest.raises(InputError, match=r"stage1.block2.activation is hard_swish .* relu in the"):
        SMALL.params_of(MobileArchitecture(8, 1, "relu", (blocks,)))


def test_widths_that_are_no_multiple_have_no_multiplier():
    space = MobileSpace.efficientnet()
    with pytest.raises(InputError, match="no single value for width_multiplier, which is one of"):
        space.params_of(MobileSpace.mobilenet_v2())


def test_what_makes_no_difference_is_no_choice():
    space = MobileSpace(
        (1, 4, 4),
        2,
        (MobileStage((2, 2), (8,), (2,)), MobileStage((2, 2), (8,), (2,), (5, 7))),
        stem_strides=(2,),
    )
    architecture, params = next(architectures(space, 1))
    assert str(architecture).startswith("stem16/2-relu | 8/2-relu mb")
    first, second = architecture.stages
    assert [block.stride for block in (*first, *second)] == [2, 1, 1, 1]
    assert "stage1.block1.kernel_size" not in params  # 2×2 images leave a 3×3 kernel
    assert [block.kernel_size for block in (*first, *second)] == [3, 1, 1, 1]
    assert set(params) == {f"stage{i}.block{j}.expansion" for i in (1, 2) for j in (1, 2)}


def test_empty_stages_at_the_end_are_left_out():
    depths = {f"stage{i}.depth": 0 for i in range(1, 5)}
    fixed = {"stem.width": 8, "stem.stride": 2, "head.width": 0}
    architecture = SMALL.suggest(FixedTrial(depths | fixed))
    assert str(architecture) == "stem8/2-relu"
    assert SMALL.params_of(architecture) == depths | fixed


def test_strings_say_what_a_network_is():
    architecture = MobileArchitecture(
        8,
        2,
        "relu",
        (
            (MobileBlock(16, 5, 2.5, 2), MobileBlock.identity(16, 1)),
            (),
            (MobileBlock(24), MobileBlock(24, 3, 1, 1, "input", "silu")),
        ),
        head_width=64,
        hidden_width=32,
        resolution=96,
    )
    assert str(architecture) == (
        "96px stem8/2-relu | 16/2-relu mb2.5_k5 identity | - | 24 mb6_k3-relu mb1_k3-silu+se_input"
        " | head64 hidden32"
    )


def test_nasbench_macro_has_6561_networks():
    space = MobileSpace.nasbench_macro()
    assert space_size(space.suggest, walks=100_000).count == 3**8
    plain = space.suggest(
        FixedTrial(
            {f"stage{i}.block{j}.operation": "identity" for i in (1, 2, 3) for j in (1, 2, 3)}
        )
    )
    assert str(plain) == (
        "stem32-relu | 64/2 identity identity | 128/2 identity identity identity | "
        "256/2 identity identity identity | head1280"
    )
    pixels = 32 * 32
    macs = pixels * 27 * 32 + pixels // 4 * 32 * 64 + pixels // 16 * 64 * 128
    macs += pixels // 64 * (128 * 256 + 256 * 1280) + 1280 * 10
    assert counted(space, plain)[0] == macs


def test_presets_are_spaces_of_the_published_size():
    """Once-for-all: (9² + 9³ + 9⁴)⁵, about 2·10¹⁹ networks."""
    ofa = space_size(MobileSpace.ofa_mbv3().suggest)
    assert abs(ofa.count / (9**2 + 9**3 + 9**4) ** 5 - 1) < 5 * ofa.error
    for space in (MobileSpace.proxyless(), MobileSpace.mnasnet()):
        architecture, params = next(architectures(space, 1))
        assert space.params_of(architecture) == params


def test_squeeze_and_excitation_scales_the_channels():
    """Against the formula, with MobileNetV3's hard sigmoid and EfficientNet's sigmoid."""
    x = torch.randn(2, 16, 5, 5)
    for kind, first, gate in (
        ("expanded", functional.relu, functional.hardsigmoid),
        ("input", functional.silu, torch.sigmoid),
    ):
        block = MobileBlock(8, 3, 2, 1, kind, "silu")
        network = SMALL.build(MobileArchitecture(8, 1, "relu", ((block,),)))
        layer = network.get_submodule("stage1.block1.squeeze_excitation")
        squeeze, excite = layer.squeeze, layer.excite
        means = x.mean((2, 3))
        hidden = first(means @ squeeze.weight.flatten(1).T + squeeze.bias)
        scale = gate(hidden @ excite.weight.flatten(1).T + excite.bias)
        torch.testing.assert_close(layer(x), x * scale[:, :, None, None])


def test_a_block_adds_its_input_where_the_shape_allows():
    blocks = (MobileBlock(8), MobileBlock(8), MobileBlock(12), MobileBlock(12, stride=2))
    network = SMALL.build(MobileArchitecture(8, 1, "relu", (blocks,))).eval()
    stage = network.get_submodule("stage1")
    assert [stage[i].skip is not None for i in range(4)] == [True, True, False, False]
    x = torch.randn(2, 8, 6, 6)
    for parameter in stage[0].project.parameters():
        torch.nn.init.zeros_(parameter)
    torch.testing.assert_close(stage[0](x), x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MobileStage((2, 1), (8,)), "depth must be"),
        (lambda: MobileStage((1, 1), ()), "widths must be"),
        (lambda: MobileStage((1, 1), (8,), kernel_sizes=(3, 7)), "odd and rise in steps of 2"),
        (lambda: MobileStage((1, 1), (8,), expansions=(0.5,)), "expansions must be"),
        (lambda: MobileStage((1, 1), (8,), squeeze_excitations=("yes",)), "none, expanded, input"),
        (lambda: MobileStage((1, 1), (8,), operations=("conv",)), "identity or such as mb6_k3"),
        (lambda: MobileStage((1, 1), (8,), operations=("mb0_k3",)), "at least 1"),
        (lambda: MobileStage((1, 1), (8,), shared=("width",)), "shared must be among kernel_size"),
        (lambda: MobileSpace((1, 8), 2, ()), "input_shape must be"),
        (lambda: MobileSpace((1, 8, 8), 2, (), head_widths=(-1,)), "at least 0"),
        (lambda: MobileSpace.small((1, 8, 8), 2, stages=5), "from 1 to 4"),
        (lambda: MobileArchitecture(8, 1, "relu", ((),)), "last stage must not be empty"),
        (lambda: MobileSpace.proxyless(strides=(1, 2)), "8 whole numbers, for the stem and each"),
        (
            lambda: MobileSpace((1, 8, 8), 2, (), width_multipliers=(1, 1.05)),
            "1 and 1.05 give the same widths",
        ),
        (
            lambda: MobileSpace(
                (1, 8, 8), 2, (MobileStage((1, 2), (8,)),), depth_multipliers=(1, 2)
            ),
            r"need fixed depths, but one is a choice among \(1, 2\)",
        ),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
