"""The widths of a given network: which channels stay, what is counted, and what is refused."""

import copy
import warnings
from random import Random

import pytest
import slim_networks as nets
import torch
from optuna.trial import FixedTrial
from slim_networks import IMAGE, TOKENS, VECTOR, seeded
from torch import nn

import optnas
from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.evaluators import Recipe, Report, TrainingEvaluator
from optnas.export import export_model
from optnas.metrics import Macs, Params
from optnas.search_spaces import SlimSpace
from optnas.search_spaces.slim import SlimArchitecture
from optnas.testing import SpaceContract
from optnas.utils.draft import Draft

RESIDUAL = SlimSpace(seeded(nets.Residual), IMAGE)


class TestResidual(SpaceContract):
    space = RESIDUAL


class TestTransformer(SpaceContract):
    space = SlimSpace(seeded(nets.Transformer), TOKENS, widths=(0.3, 0.6, 1))
    samples = 10


def drawn(space, number):
    rng = Random(0)
    return [space.suggest(Draft({}, rng)) for _ in range(number)]


def candidate(space, architecture):
    return Candidate(architecture, space.example_inputs, lambda: space.build(architecture))


NETWORKS = [
    (nets.Residual, IMAGE, ["stem", "block1.conv1", "block2.conv1", "block2.conv2"]),
    (nets.Concatenation, IMAGE, ["a", "b", "c"]),
    (nets.Transformer, TOKENS, ["embedding", "attention.qkv", "up"]),
    (nets.perceptron, VECTOR, ["0", "2"]),
    (nets.Tied, torch.zeros(1, 5, dtype=torch.long), ["embedding"]),
]


@pytest.mark.parametrize(("make", "example", "names"), NETWORKS)
def test_full_width_is_the_network_itself(make, example, names):
    given = seeded(make)
    space = SlimSpace(given, example)
    assert list(space.params_of(space.uniform(1))) == [f"{name}.width" for name in names]
    assert space.left_alone == {}
    built = space.build(space.uniform(1))
    assert all(torch.equal(t, built.state_dict()[n]) for n, t in given.state_dict().items())
    assert torch.equal(built.eval()(example), given(example))
    assert str(space.uniform(1)) == "slim none"


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


def test_counts_are_those_of_the_closed_form():
    for architecture in drawn(RESIDUAL, 30):
        share = {"stem": 1, "block1.conv1": 1, "block2.conv1": 1, "block2.conv2": 1}
        share |= dict(architecture.widths)
        s, m = 4 * share["stem"], 4 * share["block1.conv1"]
        n, t = 8 * share["block2.conv1"], 8 * share["block2.conv2"]
        weights = 9 * s + 2 * 9 * s * m + 9 * s * n + 9 * n * t + s * t + 12 * t
        macs = 16 * 9 * s + 16 * 2 * 9 * s * m + 4 * (9 * s * n + 9 * n * t + s * t) + 12 * t
        found = candidate(RESIDUAL, architecture)
        assert Params().measure(found) == weights + s + 2 * m + 2 * s + 2 * n + 2 * t + t + 3
        assert Macs().measure(found) == macs


def test_tied_weights_stay_tied():
    space = SlimSpace(seeded(nets.Tied), torch.zeros(1, 5, dtype=torch.long))
    built = space.build(space.uniform(0.5))
    assert built.head.weight is built.embedding.weight
    assert built.head.weight.shape == (7, 3)
    assert built.norm.normalized_shape == (3,)


def test_channels_that_the_networks_code_counts_are_left_alone():
    space = SlimSpace(seeded(nets.Shuffled), IMAGE)
    assert list(space.left_alone) == ["a"]
    assert "with fewer of its channels" in space.left_alone["a"]
    assert list(space.params_of(space.uniform(0.5))) == ["c.width"]


def test_channels_that_change_places_end_the_walk_through_the_network():
    space = SlimSpace(seeded(nets.Rotary), TOKENS)
    assert list(space.params_of(space.uniform(0.5))) == ["out.width", "up.width"]


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


def test_patterns_choose_layers():
    def names(**settings):
        space = SlimSpace(seeded(nets.Residual), IMAGE, **settings)
        return [name.removesuffix(".width") for name in space.params_of(space.uniform(1))]

    assert names(only="conv1") == ["block1.conv1", "block2.conv1"]
    assert names(only="block1.*") == ["stem", "block1.conv1"]  # conv2 is added to the stem
    assert names(keep=("stem", "block2.*")) == ["block1.conv1"]


@pytest.mark.parametrize(
    ("make", "example", "settings", "message"),
    [
        (nets.Residual, IMAGE, {"only": "conv3"}, "'conv3' matches no layer .*there are: stem"),
        (nets.Residual, IMAGE, {"keep": "block1.conv"}, "did you mean block1.conv"),
        (nets.Residual, IMAGE, {"keep": "*"}, "no channels lie between two layers"),
        (nets.Shuffled, IMAGE, {"only": "a"}, "no layer of this Shuffled can be slimmed: a: with"),
        (nets.Auxiliary, torch.zeros(1, 4), {}, "in training mode, this Auxiliary fails"),
        (nets.Residual, IMAGE, {"widths": (0, 1)}, "widths must be numbers above 0"),
        (nets.Residual, IMAGE, {"widths": (1,)}, "one of them below 1"),
        (nets.Residual, IMAGE, {"importance": "l1"}, "must be magnitude or taylor, got 'l1'"),
        (nets.Residual, IMAGE, {"importance": "taylor"}, "needs batch="),
    ],
)
def test_settings_that_fit_no_network_are_refused(make, example, settings, message):
    with pytest.raises((InputError, ValueError), match=message):
        SlimSpace(seeded(make), example, **settings)


class Detached(nn.Sequential):
    def forward(self, x):
        return super().forward(x).detach()


class Drawing(nn.Sequential):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x) * self.calls


def test_networks_that_can_not_be_traced_or_checked_are_refused():
    layers = nn.Linear(6, 4), nn.Linear(4, 2)
    with pytest.raises(InputError, match="outputs of this Detached have no gradient"):
        SlimSpace(Detached(*layers), VECTOR)
    with pytest.raises(InputError, match="two runs of this Drawing"):
        SlimSpace(Drawing(*layers), VECTOR)


def test_without_torch_pruning_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch_pruning", None)
    with pytest.raises(InputError, match=r"pip install 'optnas\[slim\]'"):
        SlimSpace(seeded(nets.perceptron), VECTOR)


def test_widths_that_keep_the_same_channels_are_offered_once():
    space = SlimSpace(seeded(nets.Transformer), TOKENS, only="attention.qkv")
    assert str(space.uniform(0.5)) == "slim attention.qkv:0.75"  # both keep 2 of 3 heads
    assert space.uniform(0.25) != space.uniform(0.5) == space.uniform(0.75)
    with pytest.raises(InputError, match=r"width 0\.6 is none"):
        space.uniform(0.6)
    with pytest.raises(InputError, match=r"qkv\.width is 0\.6 in the architecture"):
        space.params_of(SlimArchitecture((("attention.qkv", 0.6),)))


def test_another_weight_is_another_space_and_the_given_network_is_left_as_it_was():
    given = seeded(nets.Residual).train()
    before = copy.deepcopy(given.state_dict()), torch.get_rng_state()
    space = SlimSpace(given, IMAGE)
    assert torch.equal(before[1], torch.get_rng_state())
    assert all(torch.equal(t, given.state_dict()[n]) for n, t in before[0].items())
    assert space.fingerprint == RESIDUAL.fingerprint
    other = SlimSpace(nets.Residual(), IMAGE)
    assert other.fingerprint != space.fingerprint
    assert other.code != space.code


X = torch.randn(90, 1, 8, 8, generator=torch.Generator().manual_seed(1))
DATA = optnas.arrays(X.numpy(), (X[:, 0, 0, 0] > 0).long().numpy(), normalize=False, classes=3)


def test_a_training_begins_with_the_weights_of_the_network():
    architecture = RESIDUAL.uniform(0.5)
    evaluator = TrainingEvaluator(DATA, 1, Recipe("sgd", 1e-12), device="cpu")
    made = candidate(RESIDUAL, architecture)
    evaluator.evaluate(made, evaluator.suggest(FixedTrial({})), Report())
    for name, parameter in RESIDUAL.build(architecture).named_parameters():
        torch.testing.assert_close(made.model.get_parameter(name), parameter)


def study(space, tmp_path):
    return optnas.Search(
        space=space,
        evaluator=TrainingEvaluator(DATA, 1, Recipe(learning_rate=0.01), device="cpu"),
        objectives=("val_loss", "params"),
        baselines={"original": RESIDUAL.uniform(1)},
        sampler="random",
        trials=3,
        name="slim",
        storage=f"sqlite:///{tmp_path}/slim.db",
    )


def test_a_study_resumes_exports_and_retrains_and_refuses_other_weights(tmp_path):
    search = study(RESIDUAL, tmp_path)
    found = search.run()
    assert found.trials[0].user_attrs["params"] == sum(
        p.numel() for p in nets.Residual().parameters()
    )
    best = found.best_trials[0].number
    assert export_model(found, search, best, tmp_path / "slim.onnx").agreement.difference < 1e-5
    assert set(optnas.retrain(found, search, best, seeds=1, epochs=1).runs[0].scores) == {
        "test_loss",
        "test_accuracy",
    }
    with pytest.raises(InputError, match="SlimSpace"):
        study(SlimSpace(nets.Residual(), IMAGE), tmp_path).run()
