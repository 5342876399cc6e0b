"""U-Nets: counts by a closed form, odd sizes, published counts, shared weights."""

from dataclasses import replace

import pytest
import torch
from optuna.trial import FixedTrial

from optnas.errors import InputError
from optnas.evaluators.slices import parts
from optnas.metrics.counting import count_pass
from optnas.search_spaces import UNetSpace
from optnas.search_spaces.unet import UNetArchitecture
from optnas.testing import SpaceContract
from optnas.testing.spaces import architectures

EVERYTHING = {
    "kernel_sizes": (1, 3, 5),
    "convolutions": (1, 2),
    "blocks": ("plain", "residual", "separable"),
    "norms": ("none", "batch", "group"),
    "activations": ("relu", "silu"),
    "downs": ("max", "conv"),
    "ups": ("transposed", "bilinear"),
    "attentions": ("none", "gate"),
}


def tiny(*shape):
    return UNetSpace(shape, 3, (1, 4), (2, 3, 4), (1.0, 1.5, 2.0), **EVERYTHING)


class TestOnAnOddSize(SpaceContract):
    space = tiny(2, 7, 5)
    samples = 10


class TestOnOnePixel(SpaceContract):
    space = tiny(1, 1, 1)
    samples = 10


class TestOnAnOddRectangle(SpaceContract):
    space = tiny(3, 33, 17)
    samples = 8


SPACES = [tiny(2, 7, 5), tiny(1, 1, 1), tiny(3, 33, 17), tiny(1, 1, 6), tiny(1, 16, 16)]


def closed_form(space, a):
    """MACs and parameters, layer by layer."""
    channels, height, width = space.input_shape
    macs = params = 0

    def conv(inputs, outputs, kernel, pixels, *, bias, groups=1):
        nonlocal macs, params
        weights = inputs // groups * outputs * kernel**2
        macs += weights * pixels
        params += weights + (outputs if bias else 0)

    def conv_norm(inputs, outputs, kernel, pixels):
        nonlocal params
        conv(inputs, outputs, kernel, pixels, bias=a.norm == "none")
        params += 0 if a.norm == "none" else 2 * outputs

    def block(inputs, outputs, kernel, pixels):
        before = inputs
        for _ in range(a.convolutions):
            if a.block == "separable":
                conv(before, before, kernel, pixels, bias=False, groups=before)
                conv_norm(before, outputs, 1, pixels)
            else:
                conv_norm(before, outputs, kernel, pixels)
            before = outputs
        if a.block == "residual" and inputs != outputs:
            conv_norm(inputs, outputs, 1, pixels)

    sizes = [(height, width)]
    while len(sizes) < a.levels:
        h, w = sizes[-1]
        sizes.append(((h + 1) // 2, (w + 1) // 2))
    for i, ((h, w), out) in enumerate(zip(sizes, a.widths, strict=True)):
        kernel = min(a.kernel_size, 2 * max(h, w) - 1)
        block(channels, out, kernel, h * w)
        channels = out
        if i + 1 == a.levels:
            continue
        below, (h2, w2) = a.widths[i + 1], sizes[i + 1]
        if a.down == "conv":
            conv_norm(out, out, 3, h2 * w2)
        if a.up == "transposed":
            macs += below * out * 4 * h2 * w2
            params += below * out * 4 + out
        else:
            conv(below, out, 1, h * w, bias=True)
        if a.attention == "gate":
            inner = out // 2
            conv(out, inner, 1, h * w, bias=False)
            conv(out, inner, 1, h * w, bias=True)
            conv(inner, 1, 1, h * w, bias=True)
        block(2 * out, out, kernel, h * w)
    conv(a.width, space.outputs, 1, height * width, bias=True)
    return macs, params


def test_two_hundred_networks_have_the_counts_of_the_closed_form():
    for space in SPACES:
        for architecture, _ in architectures(space, 40):
            network = space.build(architecture).eval()
            params = sum(p.numel() for p in network.parameters())
            found = count_pass(network, space.example_inputs).macs, params
            assert found == closed_form(space, architecture), architecture


@pytest.mark.parametrize("space", SPACES, ids=lambda space: str(space.input_shape))
def test_outputs_have_the_size_of_the_inputs(space):
    shape = space.input_shape
    for architecture, _ in architectures(space, 8):
        network = space.build(architecture)  # in training, where normalisations look at the batch
        assert network(torch.randn(2, *shape)).shape == (2, 3, *shape[1:]), architecture


def on_meta(space, architecture):
    with torch.device("meta"):
        return sum(p.numel() for p in space.build(architecture).parameters())


def test_the_original_u_net_has_the_published_parameters():
    """31,030,593 for one channel and one output, and 31,031,810 for three and two.

    Public implementations of the paper, with biases and without normalisation, print these.
    """
    original = UNetSpace.unet()
    assert original.widths == (64, 128, 256, 512, 1024)
    assert on_meta(UNetSpace((1, 572, 572), 1), original) == 31_030_593
    assert on_meta(UNetSpace((3, 256, 256), 2), original) == 31_031_810
    layers = UNetSpace((1, 32, 32), 2).build(replace(original, width=2)).modules()
    convolutions = sum(isinstance(m, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)) for m in layers)
    assert convolutions == 23  # "In total the network has 23 convolutional layers."


def test_the_original_u_net_is_a_point_of_a_space():
    space = UNetSpace((1, 64, 64), 2, widths=(32, 64), norms=("none", "batch"))
    params = space.params_of(UNetSpace.unet((1, 64, 64)))
    assert params == {"levels": 5, "width": 64, "norm": "none"}
    assert space.suggest(FixedTrial(params)) == UNetSpace.unet()
    with pytest.raises(InputError, match="width is 16 in the architecture, and one of 32, 64"):
        space.params_of(UNetSpace.unet((1, 64, 64), width=16))


def test_a_parameter_is_drawn_only_where_it_has_an_effect():
    for architecture, params in architectures(tiny(1, 1, 1), 10):
        assert architecture.levels == 1
        assert params.keys() == {"width", "convolutions", "block", "norm", "activation"}
    for space, most in ((tiny(1, 2, 1), 2), (tiny(1, 3, 4), 3), (tiny(1, 5, 1), 4)):
        assert max(a.levels for a, _ in architectures(space, 40)) == most
    for architecture, params in architectures(tiny(1, 8, 8), 20):
        between = {"width_multiplier", "down", "up", "attention"} & params.keys()
        assert len(between) == (0 if architecture.levels == 1 else 4)


def test_a_skip_connection_reaches_the_output():
    """Without what comes from below, each pixel still sees itself and its neighbours."""
    space = tiny(1, 9, 9)
    network = space.build(UNetArchitecture(2, 4, norm="none")).eval()
    torch.nn.init.zeros_(network.up1.transposed.weight)
    x = torch.randn(1, 1, 9, 9, requires_grad=True)
    network(x)[0, 0, 4, 4].backward()
    seen = x.grad[0, 0].nonzero()
    assert (int(seen.min()), int(seen.max())) == (0, 8)  # four 3×3 convolutions, 4 pixels each way


def test_an_attention_gate_weights_each_pixel_of_the_skip_connection():
    gate = UNetSpace((1, 4, 4), 2).build(UNetArchitecture(2, 4, attention="gate")).gate1
    skip, gating = torch.randn(2, 2, 4, 4, 4)
    inner = gate.theta(skip) + gate.phi(gating)
    weights = torch.sigmoid(
        (inner.clamp(min=0) * gate.psi.weight).sum(1, keepdim=True) + gate.psi.bias
    )
    torch.testing.assert_close(gate(skip, gating), skip * weights)


def test_networks_of_other_depths_and_widths_share_weights():
    space = tiny(1, 16, 16)
    base = UNetArchitecture(4, 4, 2.0, 5, 2, "plain", "batch", "relu", "conv", "transposed", "gate")
    large = {part.key: part for part in parts(space.build(base))}
    for changes in ({"levels": 2}, {"width": 2}, {"kernel_size": 3}, {"convolutions": 1}):
        small = space.build(replace(base, **changes))
        for part in parts(small):
            assert part.covers(large[part.key].shape), (changes, part)
    # A transposed convolution's weight is (in, out, height, width); its slice computes the same
    # as the whole with the other channels left out.
    wide, narrow = torch.nn.ConvTranspose2d(6, 4, 2, 2), torch.nn.ConvTranspose2d(3, 2, 2, 2)
    shared = dict(wide.named_parameters())
    with torch.no_grad():
        for part in parts(narrow):
            narrow.get_parameter(part.name).copy_(part.of(shared[part.name]))
    x = torch.randn(2, 3, 5, 5)
    padded = torch.cat((x, torch.zeros_like(x)), 1)
    torch.testing.assert_close(narrow(x), wide(padded)[:, :2])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"levels": (0, 2)}, "levels must be"),
        ({"widths": (1,)}, "widths must be whole numbers of at least 2"),
        ({"width_multipliers": (0.5,)}, "width_multipliers must be numbers of at least 1"),
        ({"widths": (2,), "width_multipliers": (1.5, 1.6)}, "give the same widths"),
        ({"kernel_sizes": (2,)}, "kernel_sizes must be odd"),
        ({"norms": ("layer",)}, "norms must be among none, batch, group"),
        ({"blocks": ("dense",)}, "blocks must be among plain, residual, separable"),
        ({"input_shape": (8, 8)}, "channels, height, width"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        UNetSpace(**{"input_shape": (1, 8, 8), "outputs": 2, **settings})


def test_a_network_of_one_level_has_one_record():
    with pytest.raises(ValueError, match="a U-Net of one level must have"):
        UNetArchitecture(1, 4)
