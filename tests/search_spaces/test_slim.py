"""The widths of a given network: which channels stay, what is counted, and what is refused."""

import copy
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


def test_a_network_in_channels_last_becomes_contiguous_as_a_whole():
    given = seeded(nets.Residual)
    space = SlimSpace(given.to(memory_format=torch.channels_last), IMAGE)
    assert space.fingerprint == RESIDUAL.fingerprint
    for width in (0.25, 1):
        built = space.build(space.uniform(width))
        # Some in channels_last and some not: PyTorch's backward pass overwrote memory.
        assert all(parameter.is_contiguous() for parameter in built.parameters())


X = torch.randn(90, 1, 8, 8, generator=torch.Generator().manual_seed(1))
DATA = optnas.arrays(X.numpy(), (X[:, 0, 0, 0] > 0).long().numpy(), normalize=False, classes=3)


def test_a_training_begins_with_the_weights_of_the_network():
    architecture = RESIDUAL.uniform(0.5)
    evaluator = TrainingEvaluator(DATA, 1, Recipe("sgd", 1e-12), device="cpu")
    made = candidate(RESIDUAL, architecture)
    evaluator.evaluate(made, evaluator.suggest(FixedTrial({})), Report())
    for name, parameter in RESIDUAL.build(architecture).named_parameters():
        torch.testing.assert_close(made.model.get_parameter(name), parameter)


def test_shared_weights_are_refused():
    training = TrainingEvaluator(DATA, 1, device="cpu")
    with pytest.raises(InputError, match="give the TrainingEvaluator itself"):
        optnas.Objective(RESIDUAL, optnas.SharedWeightsEvaluator(training), ("val_loss", "params"))


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
    with pytest.raises(InputError, match="weights given to the space"):
        study(SlimSpace(nets.Residual(), IMAGE), tmp_path).run()
