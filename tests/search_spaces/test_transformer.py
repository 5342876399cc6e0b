"""Transformers: counts against published ones and a closed form, and what their layers compute."""

import math
from dataclasses import replace

import pytest
import torch
from optuna.trial import FixedTrial
from torch.nn import functional

from optnas.drawings.blocks import drawing
from optnas.errors import InputError
from optnas.evaluators.supernet import Supernet
from optnas.metrics.counting import count_pass
from optnas.search_spaces import GPTSpace, TransformerLayer, ViTSpace, space_size
from optnas.search_spaces.transformer import GPTArchitecture, ViTArchitecture
from optnas.search_spaces.transformer.modules import Attention, Rotary
from optnas.testing import SpaceContract
from optnas.testing.spaces import architectures

VIT = ViTSpace(
    (2, 8, 4), 3, (2, 4), (4, 6), (1, 3), (1, 2), (1, 1.5), ("class", "mean"), head_width=4
)
GPT = GPTSpace(
    vocabulary=11,
    length=7,
    embeddings=(4, 6),
    depth=(1, 3),
    heads=(2, 4),
    mlp_ratios=(1, 2.5),
    kv_heads=(0, 1),
    biases=(False, True),
    norms=("layer_norm", "rms_norm"),
    positions=("learned", "rotary"),
    tied=(False, True),
    head_width=4,
)


class TestViT(SpaceContract):
    space = VIT
    samples = 10


class TestGPT(SpaceContract):
    space = GPT
    samples = 10


def layers_closed_form(architecture, length, *, bias=True, norm_bias=True):
    """Multiply-accumulates and parameters of all layers, written out one by one."""
    width, head = architecture.embedding, architecture.head_width
    macs = params = 0
    for layer in architecture.layers:
        queries = layer.heads * head
        keys = (layer.kv_heads or layer.heads) * head
        hidden = round(layer.mlp_ratio * width)
        for inputs, out in (
            (width, queries),
            (width, keys),
            (width, keys),
            (queries, width),
            (width, hidden),
            (hidden, width),
        ):
            macs += length * inputs * out
            params += inputs * out + out * bias
        macs += 2 * layer.heads * length * length * head  # QKᵀ, and its product with V
        params += 2 * (width + width * norm_bias)
    return macs, params


def vit_closed_form(space, architecture):
    channels, height, width = space.input_shape
    size, features = architecture.patch_size, architecture.embedding
    patches = height // size * (width // size)
    length = patches + (architecture.pool == "class")
    macs, params = layers_closed_form(architecture, length)
    macs += patches * channels * size**2 * features + features * space.outputs
    params += channels * size**2 * features + features + length * features
    params += features * (architecture.pool == "class")
    return macs, params + 2 * features + features * space.outputs + space.outputs


def gpt_closed_form(space, architecture):
    features, length, tokens = architecture.embedding, space.length, space.vocabulary
    bias = architecture.bias
    norm_bias = bias and architecture.norm == "layer_norm"
    macs, params = layers_closed_form(architecture, length, bias=bias, norm_bias=norm_bias)
    params += tokens * features * (1 if architecture.tied else 2) + features + features * norm_bias
    params += length * features * (architecture.positions == "learned")
    return macs + length * features * tokens, params


def counted(space, architecture):
    network = space.build(architecture).eval()
    params = sum(p.numel() for p in network.parameters())
    return count_pass(network, space.example_inputs).macs, params


@pytest.mark.parametrize(
    ("space", "closed_form"), [(VIT, vit_closed_form), (GPT, gpt_closed_form)], ids=["vit", "gpt"]
)
def test_random_networks_have_the_counts_of_the_closed_form(space, closed_form):
    for architecture, params in architectures(space, 60):
        assert counted(space, architecture) == closed_form(space, architecture), architecture
        assert space.params_of(architecture) == params


def test_deit_tiny_and_small_have_the_published_counts():
    """Their authors' parameters, and GFLOPs that count as optnas counts MACs (1.26 and 4.61)."""
    for architecture, params, gigamacs, space in (
        (ViTSpace.vit_tiny(), 5_717_416, 1.26, ViTSpace.autoformer_tiny()),
        (ViTSpace.vit_small(), 22_050_664, 4.61, ViTSpace.autoformer_small()),
    ):
        macs, found = vit_closed_form(space, architecture)
        assert found == params
        assert macs / 1e9 == pytest.approx(gigamacs, rel=0.006)
        assert space.suggest(FixedTrial(space.params_of(architecture))) == architecture
    assert vit_closed_form(ViTSpace.autoformer_base(), ViTSpace.vit_base())[1] == 86_567_656
    with torch.device("meta"):
        tiny = ViTSpace.autoformer_tiny().build(ViTSpace.vit_tiny())
    assert sum(p.numel() for p in tiny.parameters()) == 5_717_416


@pytest.mark.parametrize(
    ("size", "space", "params"),
    [
        ("small", GPTSpace.hw_gpt_small(), 124_439_808),
        ("medium", GPTSpace.hw_gpt_medium(), 354_823_168),
        ("large", GPTSpace.hw_gpt_large(), 774_030_080),
        ("xl", None, 1_557_611_200),
    ],
)
def test_gpt2_has_the_published_parameters_and_is_a_point_of_a_space(size, space, params):
    gpt2 = GPTSpace.gpt2(size)
    assert gpt_closed_form(space or GPTSpace.hw_gpt_small(), gpt2)[1] == params
    if space is not None:
        assert space.suggest(FixedTrial(space.params_of(gpt2))) == gpt2
    if size == "small":
        with torch.device("meta"):
            network = space.build(gpt2)
        assert sum(p.numel() for p in network.parameters()) == params


def test_presets_are_as_large_as_the_papers_say():
    """AutoFormer-tiny: 3 · (4^12 + 4^13 + 4^14); HW-GPT-Bench S: 6 · (9^10 + 9^11 + 9^12)."""
    for space, count in (
        (ViTSpace.autoformer_tiny(), 3 * (4**12 + 4**13 + 4**14)),
        (GPTSpace.hw_gpt_small(), 6 * (9**10 + 9**11 + 9**12)),
    ):
        size = space_size(space.suggest, max_seconds=0.4)
        assert abs(size.count / count - 1) < 5 * size.error + 1e-9


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_a_later_token_changes_no_earlier_logit(positions):
    layers = (TransformerLayer(4, 2, kv_heads=2), TransformerLayer(2, 2))
    network = GPT.build(GPTArchitecture(6, layers, positions=positions, head_width=4)).eval()
    tokens = torch.randint(11, (3, 7), generator=torch.Generator().manual_seed(1))
    logits = network(tokens)
    assert logits.shape == (3, 7, 11)
    for at in range(7):
        other = tokens.clone()
        other[:, at] = (other[:, at] + 1) % 11
        changed = (network(other) - logits).abs().amax((0, 2)) > 1e-7
        assert not changed[:at].any()
        assert changed[at:].all()
        shorter = network(tokens[:, : at + 1])
        torch.testing.assert_close(shorter, logits[:, : at + 1])


@pytest.mark.parametrize(("heads", "keys"), [(2, 0), (4, 2), (4, 1)])
def test_attention_is_that_of_the_formula(heads, keys):
    layer = TransformerLayer(heads, kv_heads=keys)
    attention = Attention(6, layer, 4, causal=True, rotary=5)
    x = torch.randn(2, 5, 6)
    found = torch.zeros(2, 5, 6) + attention.out.bias
    for head in range(heads):
        rows = slice(4 * head, 4 * head + 4)
        shared = slice(4 * (head % layer.keys), 4 * (head % layer.keys) + 4)
        q = x @ attention.query.weight[rows].T + attention.query.bias[rows]
        k = x @ attention.key.weight[shared].T + attention.key.bias[shared]
        v = x @ attention.value.weight[shared].T + attention.value.bias[shared]
        q, k = (turned(part) for part in (q, k))
        scores = (q @ k.transpose(1, 2) / 2).masked_fill(
            torch.ones(5, 5).triu(1).bool(), float("-inf")
        )
        found = found + scores.softmax(-1) @ v @ attention.out.weight[:, rows].T
    torch.testing.assert_close(attention(x), found)


def turned(x):
    """Pairs of features (i, i + 2) as complex numbers, times exp(i · position · 10000^(-i/2))."""
    pairs = torch.complex(x[..., :2], x[..., 2:])
    angles = torch.arange(x.shape[1])[:, None] * torch.tensor([1.0, 10_000**-0.5])
    pairs = pairs * torch.polar(torch.ones_like(angles), angles)
    return torch.cat((pairs.real, pairs.imag), -1)


def test_rotary_positions_show_in_differences_alone():
    rotary = Rotary(9, 6)
    q, k = torch.randn(2, 1, 1, 1, 6)
    queries, keys = (rotary(x.expand(1, 1, 9, 6))[0, 0] for x in (q, k))
    products = queries @ keys.T
    for offset in range(-8, 9):
        diagonal = products.diagonal(offset)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5, rtol=0)


def test_patches_are_read_without_overlap_and_the_class_token_stands_last():
    architecture = ViTArchitecture(4, 6, (TransformerLayer(1, 1),), "class", 4)
    patches = VIT.build(architecture).get_submodule("patch4")
    x = torch.randn(2, 2, 8, 4)
    found = patches(x) - patches.positions.weight
    assert found.shape == (2, 3, 6)
    for at, patch in enumerate((x[:, :, :4], x[:, :, 4:])):
        weight, bias = patches.conv.weight.flatten(1), patches.conv.bias
        torch.testing.assert_close(found[:, at], functional.linear(patch.flatten(1), weight, bias))
    torch.testing.assert_close(found[:, 2], patches.class_token.weight[0].expand(2, -1))


def test_a_tied_head_has_the_weights_of_the_embedding():
    tied = GPTArchitecture(6, (TransformerLayer(2),), tied=True, head_width=4)
    network = GPT.build(tied)
    assert network.get_submodule("head").weight is network.get_submodule("tokens").weight
    other = GPT.build(replace(tied, tied=False))
    assert other.get_submodule("head").weight is not other.get_submodule("tokens").weight


def test_the_first_loss_is_that_of_a_uniform_guess():
    space = GPTSpace.small(50, 16)
    for architecture, _ in architectures(space, 5):
        logits = space.build(architecture).eval()(torch.randint(50, (4, 16)))
        loss = functional.cross_entropy(logits.flatten(0, 1), torch.randint(50, (64,)))
        assert loss.item() == pytest.approx(math.log(50), rel=0.05)


def test_a_network_with_fewer_heads_and_layers_is_a_slice_of_a_larger_one():
    """Zeroing what the larger one has more leaves the smaller one's outputs."""
    large = GPTArchitecture(6, (TransformerLayer(4, 2),) * 2, head_width=4)
    small = GPTArchitecture(6, (TransformerLayer(2, 1),), head_width=4)
    big, sliced = GPT.build(large).eval(), GPT.build(small).eval()
    supernet = Supernet()
    supernet.admit(big)
    assert supernet.load_into(sliced) == []
    with torch.no_grad():
        big.get_submodule("layer1.attention.out").weight[:, 8:] = 0
        big.get_submodule("layer1.mlp.down").weight[:, 6:] = 0
        for name in ("attention.out", "mlp.down"):
            for parameter in big.get_submodule(f"layer2.{name}").parameters():
                parameter.zero_()
    torch.testing.assert_close(sliced(GPT.example_inputs), big(GPT.example_inputs))


def test_networks_with_other_patches_share_neither_convolution_nor_positions():
    one = ViTArchitecture(2, 4, (TransformerLayer(1, 1),), "class", 4)
    supernet = Supernet()
    supernet.admit(VIT.build(one))
    missing = supernet.load_into(VIT.build(replace(one, patch_size=4)))
    assert sorted(missing) == [
        "patch4.class_token.weight",
        "patch4.conv.bias",
        "patch4.conv.weight",
        "patch4.positions.weight",
    ]
    assert supernet.load_into(VIT.build(replace(one, pool="mean"))) == []


def test_drawings_show_attention_as_one_layer():
    layers = (TransformerLayer(4, 2, kv_heads=1), TransformerLayer(2, 1))
    architecture = GPTArchitecture(6, layers, head_width=4)
    drawn = drawing(GPT.build(architecture), GPT.example_inputs)
    blocks = [block for stage in drawn.stages for block in stage.blocks]
    assert [block.title for block in blocks if block.kind == "attention"] == [
        "attention 4/1 heads",
        "attention 2 heads",
    ]
    assert sum(block.params * block.times for block in blocks) == drawn.params
    assert (drawn.macs, drawn.params) == gpt_closed_form(GPT, architecture)


def test_strings_say_what_a_network_is():
    layers = (TransformerLayer(4, 3.5, kv_heads=2), TransformerLayer(3))
    assert str(ViTArchitecture(4, 48, layers, "mean", 16)) == (
        "vit patch4 48 mean | heads16 4/2-3 | mlp 3.5-4"
    )
    assert str(GPTArchitecture(64, layers, bias=False, norm="rms_norm", positions="rotary")) == (
        "gpt 64 rotary rms_norm tied | heads64 4/2-3 | mlp 3.5-4"
    )


@pytest.mark.parametrize(
    ("side", "sizes"), [(8, (1, 2)), (28, (4, 7)), (32, (4, 8)), (64, (8, 16)), (50, (10,))]
)
def test_small_images_are_cut_into_sixteen_to_sixty_four_patches(side, sizes):
    assert ViTSpace.small((1, side, side), 10).patch_sizes == sizes


def test_params_of_names_the_setting_that_the_space_lacks():
    with pytest.raises(InputError, match=r"embedding is 768 .* one of 192, 216, 240"):
        ViTSpace.autoformer_tiny().params_of(ViTSpace.vit_base())
    with pytest.raises(InputError, match="head_width is 64 in the architecture, and 4 in the"):
        GPT.params_of(GPTArchitecture(6, (TransformerLayer(2, 1),)))
    with pytest.raises(InputError, match=r"layer1.kv_heads is 2 .* one of 0, 1"):
        GPT.params_of(GPTArchitecture(6, (TransformerLayer(4, 1, 2),), head_width=4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ViTSpace((1, 9, 8), 2, (4,)), "9 × 8, and 4 doesn't"),
        (lambda: ViTSpace((1, 8, 8), 2, (4,), pools=("max",)), "pools must be among class, mean"),
        (lambda: ViTSpace((1, 8, 8), 2, (4,), depth=(0, 1)), "depth must be"),
        (lambda: ViTSpace((1, 8, 8), 2, (4,), mlp_ratios=(0,)), "numbers above 0"),
        (lambda: ViTSpace((1, 8, 8), 2, (4,), head_width=0), "head_width must be"),
        (lambda: ViTSpace.small((1, 29, 29), 2), "no patch size cuts images of 29 × 29"),
        (lambda: GPTSpace(0, 4), "vocabulary must be"),
        (lambda: GPTSpace(4, 4, heads=(3, 4), kv_heads=(2,)), r"2 doesn't fit 3 \(heads=\(3, 4"),
        (lambda: GPTSpace(4, 4, heads=(2, 4), kv_heads=(2,)), "2 doesn't fit 2"),
        (lambda: GPTSpace(4, 4, norms=("batch_norm",)), "among layer_norm, rms_norm"),
        (lambda: GPTSpace(4, 4, positions=("none",)), "among learned, rotary"),
        (lambda: GPTSpace(4, 4, positions=("rotary",), head_width=5), "must be even, got 5"),
        (lambda: GPTSpace(4, 4, biases=()), "False, True or both"),
        (lambda: GPTSpace(4, 4, tied=(1,)), "False, True or both"),
        (lambda: GPTSpace.gpt2("huge"), "size must be among small, medium, large, xl"),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("ratios", [(2, 2.1), (float("nan"),), (float("inf"),)])
def test_ratios_that_give_the_same_network_or_none_are_refused(ratios):
    with pytest.raises(
        ValueError, match=r"mlp_ratios (2 and 2\.1 give the same 6|must be numbers)"
    ):
        GPTSpace(7, 5, embeddings=(3,), heads=(2,), mlp_ratios=ratios, head_width=2)
    with pytest.raises(
        ValueError, match=r"mlp_ratios (2 and 2\.1 give the same 6|must be numbers)"
    ):
        ViTSpace((1, 4, 4), 3, patch_sizes=(2,), embeddings=(3,), heads=(1,), mlp_ratios=ratios)
