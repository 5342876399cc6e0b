"""Which channels of a given network stay: the most important, as torch-pruning leaves them."""

import warnings

import pytest
import slim_networks as nets
import torch
from slim_networks import IMAGE, TOKENS, VECTOR, seeded
from torch import nn

from optnas.search_spaces import SlimSpace


def squares(*tensors):
    """The sum of squares for each entry of the first dimension."""
    return sum((t.detach() ** 2).reshape(len(t), -1).sum(1) for t in tensors)


def least(importance, number):
    return importance.argsort()[:number].tolist()


def removed_by_torch_pruning(make, example, layer, side, channels):
    """The network after torch-pruning's own removal of channels."""
    import torch_pruning

    model = seeded(make)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = torch_pruning.DependencyGraph().build_dependency(
            model, example, forward_fn=lambda m, x: m(x), ignored_params=[], verbose=False
        )
    root = model.get_submodule(layer)
    function = getattr(graph.get_pruner_of_module(root), f"prune_{side}_channels")
    graph.get_pruning_group(root, function, channels).prune()
    return model


def stem_group(m):
    return squares(
        m.stem.weight,
        m.block1.bn2.weight,
        m.block1.conv2.weight,
        m.block1.conv1.weight.transpose(0, 1),
        m.block2.conv1.weight.transpose(0, 1),
        m.block2.shortcut.weight.transpose(0, 1),
    )


def flattened_group(m):
    b = m.block2
    features = m.head.weight.unflatten(1, (8, 4)).transpose(0, 1)
    return squares(b.conv2.weight, b.bn2.weight, b.shortcut.weight, features)


def second_branch(m):
    mixed = m.c.weight[:, 4:].transpose(0, 1)
    return squares(m.b.weight, m.bn.weight[4:], m.depthwise.weight[4:], mixed)


def heads(m):
    qkv = m.attention.qkv.weight.unflatten(0, (3, 3, 4)).transpose(0, 1)
    return squares(qkv, m.attention.proj.weight.T.unflatten(0, (3, 4)))


def residual_stream(m):
    return squares(
        m.embedding.weight,
        m.position[0].T,
        m.norm1.weight,
        m.norm2.weight,
        m.attention.qkv.weight.T,
        m.attention.proj.weight,
        m.up.weight.T,
        m.down.weight,
        m.head.weight.T,
    )


def second_layer(m):
    return squares(m[2].weight, m[3].weight, m[4].weight.T)


@pytest.mark.parametrize(
    ("make", "example", "name", "importance", "remove", "root"),
    [
        (nets.Residual, IMAGE, "stem", stem_group, 2, ("stem", "out")),
        (nets.Residual, IMAGE, "block2.conv2", flattened_group, 4, ("block2.conv2", "out")),
        (nets.Concatenation, IMAGE, "b", second_branch, 3, ("b", "out")),
        (nets.Transformer, TOKENS, "embedding", residual_stream, 6, ("embedding", "out")),
        (nets.Transformer, TOKENS, "attention.qkv", heads, 1, ("attention.proj", "in")),
        (nets.perceptron, VECTOR, "2", second_layer, 6, ("2", "out")),
    ],
)
def test_the_least_channels_go_as_torch_pruning_removes_them(
    make, example, name, importance, remove, root
):
    channels = least(importance(seeded(make)), remove)
    if name == "attention.qkv":  # a head has 4 channels
        channels = [head * 4 + i for head in channels for i in range(4)]
    wanted = removed_by_torch_pruning(make, example, *root, channels)
    space = SlimSpace(seeded(make), example, only=name, widths=(0.5, 1))
    built = space.build(space.uniform(0.5)).eval()
    found = built.state_dict()
    for key, tensor in wanted.state_dict().items():
        torch.testing.assert_close(found[key], tensor, rtol=0, atol=0, msg=key)
    if name == "attention.qkv":
        wanted.attention.num_heads = 2
    assert torch.equal(built(example), wanted(example))


def test_groups_of_a_convolution_stay_whole():
    given = seeded(nets.Concatenation)
    space = SlimSpace(given, IMAGE, only="c", widths=(0.5, 1))
    slim = space.build(space.uniform(0.5)).eval()
    assert (slim.grouped.groups, slim.grouped.in_channels, slim.grouped.out_channels) == (2, 4, 8)
    assert (slim.norm.num_groups, slim.norm.num_channels) == (4, 8)
    kept = [i for i in range(8) if any(torch.equal(given.c.weight[i], w) for w in slim.c.weight)]
    assert [i // 2 for i in kept[::2]] == [i // 2 for i in kept[1::2]]
    rows = [4 * (i // 2) + j for i in kept[::2] for j in range(4)]
    assert torch.equal(slim.grouped.weight, given.grouped.weight[rows])


def test_a_narrow_layer_has_a_part_of_the_channels_of_a_wider_one():
    space = SlimSpace(seeded(nets.perceptron), VECTOR, only="2", widths=(0.25, 0.5, 0.75, 1))
    biases = [set(space.build(space.uniform(w))[2].bias.tolist()) for w in (0.25, 0.5, 0.75, 1)]
    assert [len(found) for found in biases] == [3, 6, 9, 12]
    assert biases[0] < biases[1] < biases[2] < biases[3]


def test_taylor_keeps_what_the_loss_needs():
    given = seeded(nets.perceptron)
    with torch.no_grad():
        given[2].weight[:6] *= 100  # large weights,
        given[4].weight[:, :6] = 0  # which nothing reads
    batch = (torch.randn(20, 6), torch.arange(20) % 3)
    settings = {"only": "2", "widths": (0.5, 1)}
    taylor = SlimSpace(
        given,
        VECTOR,
        importance="taylor",
        batch=batch,
        loss=nn.functional.cross_entropy,
        **settings,
    )
    assert torch.equal(taylor.build(taylor.uniform(0.5))[2].weight, given[2].weight[6:])
    magnitude = SlimSpace(given, VECTOR, **settings)
    assert torch.equal(magnitude.build(magnitude.uniform(0.5))[2].weight, given[2].weight[:6])
    assert taylor.fingerprint != magnitude.fingerprint
    assert all(parameter.grad is None for parameter in given.parameters())
