"""Adapters of a given network: which layers, how many parameters, and what is trained."""

from random import Random

import optuna
import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn

import optnas
from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.evaluators import Recipe, Report, SharedWeightsEvaluator, TrainingEvaluator
from optnas.export import export_model
from optnas.metrics import Macs, Params, TrainableParams
from optnas.search_spaces import LoRASpace, merge_adapters
from optnas.search_spaces.lora import LoRAArchitecture, LoRALinear
from optnas.testing import SpaceContract
from optnas.utils.draft import Draft

TOKENS, WIDTH = 5, 6
EXAMPLE = torch.randn(1, TOKENS, WIDTH, generator=torch.Generator().manual_seed(0))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.value = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH, bias=False)
        self.up, self.down = nn.Linear(WIDTH, 8), nn.Linear(8, WIDTH)

    def forward(self, x):
        q, v = self.query(x), self.value(x)
        x = x + (q @ x.transpose(1, 2)).softmax(-1) @ v
        return x + self.down(self.up(x).relu())


class Network(nn.Module):
    def __init__(self, outputs=3):
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, outputs)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


def network(seed=0, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Network(**settings)


SIZES = {"query": (WIDTH, WIDTH), "value": (WIDTH, WIDTH), "up": (WIDTH, 8), "down": (8, WIDTH)}
BASE = 2 * (42 + 36 + 56 + 54) + 12 + 21
BASE_MACS = 2 * TOKENS * (36 + 36 + 48 + 48 + 2 * TOKENS * WIDTH) + 18
SPACE = LoRASpace(network(), EXAMPLE, tuple(SIZES), ranks=(0, 1, 3, 8), train="head")


def drawn(number, space=SPACE):
    rng = Random(0)
    return [space.suggest(Draft({}, rng)) for _ in range(number)]


def candidate(architecture, space=SPACE):
    return Candidate(architecture, space.example_inputs, lambda: space.build(architecture))


def filled(model):
    """The model with adapters that change its outputs, as if they were trained."""
    for module in model.modules():
        if isinstance(module, LoRALinear):
            nn.init.normal_(module.lora_B.weight, 0.0, 0.2)
    return model.eval()


class TestLoRASpace(SpaceContract):
    space = SPACE


class TestOneLayer(SpaceContract):
    space = LoRASpace(nn.Linear(4, 4), torch.zeros(1, 4), "*", ranks=(1, 2, 3, 4))


def test_counts_are_those_of_the_closed_form():
    for architecture in drawn(40):
        found = candidate(architecture)
        extra = sum(r * sum(SIZES[name.split(".")[-1]]) for name, r in architecture.ranks)
        assert TrainableParams().measure(found) == extra + 21
        assert Params().measure(found) == BASE + extra
        assert Macs().measure(found) == BASE_MACS + TOKENS * extra


def test_a_new_network_computes_what_the_given_one_does():
    given = network()
    for architecture in drawn(4):
        torch.testing.assert_close(SPACE.build(architecture)(EXAMPLE), given(EXAMPLE))
        held = {
            name.replace(".base_layer", ""): tensor
            for name, tensor in SPACE.build(architecture).state_dict().items()
            if "lora" not in name
        }
        assert held.keys() == given.state_dict().keys()
        assert all(torch.equal(held[name], tensor) for name, tensor in given.state_dict().items())


def test_an_adapter_adds_the_scaled_product_of_its_two_matrices():
    space = LoRASpace(network(), EXAMPLE, "blocks.1.up", ranks=(2,), alpha=5.0)
    layer = filled(space.build(space.suggest(FixedTrial({})))).blocks[1].up
    weight = layer.weight + 5.0 / 2 * layer.lora_B.weight @ layer.lora_A.weight
    torch.testing.assert_close(layer(EXAMPLE), nn.functional.linear(EXAMPLE, weight, layer.bias))


def test_merged_adapters_compute_the_same_with_the_layers_of_the_given_network():
    for architecture in drawn(4):
        model = filled(SPACE.build(architecture))
        merged = merge_adapters(model)
        torch.testing.assert_close(merged(EXAMPLE), model(EXAMPLE))
        assert [n for n, _ in merged.named_parameters()] == [
            n for n, _ in network().named_parameters()
        ]
        assert Macs().measure(Candidate("", EXAMPLE, lambda m=merged: m)) == BASE_MACS
        assert not any(isinstance(m, LoRALinear) for m in merged.modules())


def test_the_layers_of_a_transformer_encoder_are_adapted_in_evaluation_too():
    """It has a fast path, which reads the weights of its layers and doesn't call them."""
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 8, dropout=0.0, batch_first=True)
    given = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
    space = LoRASpace(given, EXAMPLE, "linear?", ranks=(2,))
    model = filled(space.build(space.suggest(FixedTrial({}))))
    with torch.no_grad():
        torch.testing.assert_close(model(EXAMPLE), model.train()(EXAMPLE))
        assert not torch.allclose(model.eval()(EXAMPLE), given.eval()(EXAMPLE), atol=1e-3)


def test_a_layer_with_two_names_has_one_adapter():

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = self.b = nn.Linear(4, 4)

        def forward(self, x):
            return self.b(self.a(x))

    space = LoRASpace(Twice(), torch.zeros(1, 4), "*", ranks=(2,))
    built = space.build(space.suggest(FixedTrial({})))
    assert built.a is built.b
    assert TrainableParams().measure(Candidate("", EXAMPLE, lambda: built)) == 2 * 8


def test_patterns_match_whole_names_or_their_ends():
    def names(targets):
        space = LoRASpace(network(), EXAMPLE, targets, ranks=(1, 2))
        return sorted(n.removesuffix(".rank") for n in params(space))

    def params(space):
        trial = optuna.create_study().ask()
        space.suggest(trial)
        return trial.params

    assert names("query") == ["blocks.0.query", "blocks.1.query"]
    assert names("blocks.1.*") == [f"blocks.1.{n}" for n in ("down", "query", "up", "value")]
    assert names(("head", "blocks.[0].up")) == ["blocks.0.up", "head"]
    assert len(names("*")) == 9


ATTENTION = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.TransformerEncoderLayer(WIDTH, 1, 8))


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.read = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        return nn.functional.linear(self.used(x), self.read.weight)


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        (Network(), {"targets": "qkv"}, "'qkv' matches no linear layer of the Network; there are"),
        (Network(), {"targets": ()}, "'' matches no linear layer"),
        (ATTENTION, {"targets": "self_attn"}, r"projections of 1.self_attn \(nn.MultiheadAtt"),
        (ATTENTION, {"targets": "out_proj"}, "there are 0, 1.linear1, 1.linear2. The projections"),
        (Unused(), {"targets": "*"}, "an adapter of read would have no effect"),
        (Network(), {"targets": "head", "ranks": (4, 8)}, "6 inputs and 3 outputs: .* at most 3"),
        (Network(), {"targets": "up", "train": "classifier"}, "'classifier' .*are blocks, norm, h"),
        (Network(), {"targets": "up", "train": "0.up"}, "train names blocks.0.up.bias, blocks"),
        (Network(), {"targets": "up", "ranks": (0,)}, "one is above 0, got"),
        (Network(), {"targets": "up", "ranks": (2, 2)}, "ranks has the choice 2 twice"),
        (Network(), {"targets": "up", "ranks": (-1, 2)}, "at least 0"),
        (Network(), {"targets": "up", "alpha": 0.0}, "alpha must be above 0"),
    ],
)
def test_settings_that_fit_no_network_are_refused(model, settings, message):
    with pytest.raises((InputError, ValueError), match=message):
        LoRASpace(model, EXAMPLE, **settings)


def test_another_weight_is_another_space():
    def fingerprint(**settings):
        space = LoRASpace(network(**settings), EXAMPLE, "up")
        return space.fingerprint, space.code

    assert fingerprint() == fingerprint()
    assert not set(fingerprint()) & set(fingerprint(seed=1))


def test_making_a_space_draws_nothing_and_leaves_the_network_alone():
    given = network()
    before = torch.get_rng_state()
    LoRASpace(given, EXAMPLE, "up")
    assert torch.equal(before, torch.get_rng_state())
    assert given.training
    assert all(parameter.requires_grad for parameter in given.parameters())
    assert not any(isinstance(module, LoRALinear) for module in given.modules())


def test_one_rank_for_all_layers_is_an_architecture_of_the_space():
    assert set(SPACE.params_of(SPACE.uniform(3)).values()) == {3}
    assert SPACE.uniform(0) == LoRAArchitecture(())
    with pytest.raises(InputError, match=r"query\.rank is 2 in the architecture"):
        SPACE.params_of(SPACE.uniform(2))


def test_an_architecture_of_other_layers_is_refused():
    assert str(LoRAArchitecture(())) == "lora none"
    with pytest.raises(InputError, match=r"blocks\.0\.key\.rank"):
        SPACE.params_of(LoRAArchitecture((("blocks.0.key", 1),)))
    with pytest.raises(
        InputError, match=r"blocks\.0\.up\.rank is 2 in the architecture, and one of"
    ):
        SPACE.params_of(LoRAArchitecture((("blocks.0.up", 2),)))


X = torch.randn(90, TOKENS, WIDTH, generator=torch.Generator().manual_seed(1))
DATA = optnas.arrays(X.numpy(), (X[:, 0, 0] > 0).long().numpy(), normalize=False, classes=3)
RANKS = LoRAArchitecture((("blocks.0.query", 3), ("blocks.1.down", 1)))


def trained(model, recipe, space=SPACE):
    evaluator = TrainingEvaluator(DATA, 2, recipe, device="cpu")
    made = Candidate("", EXAMPLE, lambda: model)
    return evaluator.evaluate(made, evaluator.suggest(FixedTrial({})), Report())


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_training_changes_adapters_and_head_alone(optimizer):
    recipe = Recipe(optimizer, 0.1, 0.5, ema_decay=0.9, max_grad_norm=1.0)
    model = SPACE.build(RANKS)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    trained(model, recipe)
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {n for n in before if "lora" in n or n.startswith("head")}


def test_a_network_without_anything_to_train_is_scored_as_it_is():
    space = LoRASpace(network(), EXAMPLE, "up", ranks=(0, 2))
    model = space.build(LoRAArchitecture(()))
    scores = trained(model, Recipe(), space)
    loss = nn.functional.cross_entropy(network().eval()(DATA.val[0]), DATA.val[1])
    assert scores["val_loss"] == pytest.approx(loss.item(), abs=1e-6)
    assert TrainableParams().measure(Candidate("", EXAMPLE, lambda: model)) == 0


def test_shared_weights_leave_the_frozen_ones_as_they_were():
    space = LoRASpace(network(), EXAMPLE, tuple(SIZES), ranks=(0, 1, 3), train="head")
    evaluator = SharedWeightsEvaluator(
        TrainingEvaluator(DATA, 1, device="cpu"), 30, networks=2, recipe=Recipe("sgd", 0.1, 0.5)
    ).bind(space, None)
    made = candidate(LoRAArchitecture((("blocks.0.query", 1), ("blocks.1.up", 3))), space)
    before = {name: p.detach().clone() for name, p in made.model.named_parameters()}
    evaluator.evaluate(made, evaluator.suggest(FixedTrial({})), Report())
    changed = {n for n, p in made.model.named_parameters() if not torch.equal(p, before[n])}
    assert changed == {n for n in before if "lora" in n or n.startswith("head")}


def test_a_study_keeps_exports_and_retrains_adapted_networks(tmp_path):
    search = optnas.Search(
        space=SPACE,
        evaluator=TrainingEvaluator(DATA, 1, Recipe(learning_rate=0.01), device="cpu"),
        objectives=("val_loss", "trainable_params"),
        sampler="random",
        trials=3,
        name="adapters",
        storage=f"sqlite:///{tmp_path}/adapters.db",
    )
    study = search.run()
    best = study.best_trials[0]
    model = optnas.best_model(study, search, trial=best.number)
    assert torch.equal(model.norm.weight, network().norm.weight)
    file = export_model(study, search, best.number, tmp_path / "adapted.onnx")
    assert file.agreement.difference < 1e-5
    assert set(optnas.retrain(study, search, best.number, seeds=1, epochs=1).runs[0].scores) == {
        "test_loss",
        "test_accuracy",
    }


class Tied(nn.Module):
    """A decoder whose weight is that of the embedding, with a bias of its own."""

    def __init__(self):
        super().__init__()
        self.emb, self.layer = nn.Embedding(9, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.decoder = nn.Linear(WIDTH, 9)
        self.decoder.weight = self.emb.weight

    def forward(self, x):
        return self.decoder(self.layer(self.emb(x)).relu())


def test_a_tied_weight_is_trained_by_each_of_its_names():
    tokens = torch.randint(9, (1, 4))
    space = LoRASpace(Tied(), tokens, "layer", ranks=(2,), train="decoder")
    model = space.build(space.uniform(2))
    assert model.decoder.weight.requires_grad
    assert model.decoder.weight is model.emb.weight
    assert LoRASpace(Tied(), tokens, "layer", ranks=(2,), train="decoder.weight")
    with pytest.raises(InputError, match=r"train names decoder\.weight, maybe by another name"):
        LoRASpace(Tied(), tokens, "decoder", ranks=(2,), train="emb")


def test_normalisation_keeps_its_statistics_unless_all_of_it_is_trained():
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    x, y = torch.randn(90, 4) * 3 + 5, torch.arange(90) % 2
    parts = [(x[a:b], y[a:b]) for a, b in ((0, 50), (50, 70), (70, 90))]
    data = optnas.Dataset("moved", "classification", *parts, outputs=2)
    evaluator = TrainingEvaluator(data, 2, device="cpu")
    with torch.no_grad():
        given = float(nn.functional.cross_entropy(net.eval()(data.val[0]), data.val[1]))

    def trained(train, rank):
        space = LoRASpace(net, x[:1], "0", ranks=(0, 2), train=train)
        model = space.build(space.uniform(rank))
        candidate = Candidate("adapted", x[:1], lambda: model, 0)
        scores = evaluator.evaluate(candidate, evaluator.suggest(None), Report())
        return scores["val_loss"], model[1].running_mean

    assert trained((), 0) == (pytest.approx(given, rel=1e-6), pytest.approx(net[1].running_mean))
    for train, stays in (((), True), ("1.bias", True), ("1", False)):
        _, mean = trained(train, 2)
        assert torch.equal(mean, net[1].running_mean) == stays, train


class Scaled(nn.Linear):
    """With an equalised learning rate, as in StyleGAN."""

    def forward(self, x):
        return nn.functional.linear(x, self.weight / 2, self.bias)


def hooked():
    layer = nn.Linear(4, 4)
    layer.register_forward_hook(lambda module, inputs, output: 2 * output)
    return layer


def normed():
    return nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))


@pytest.mark.parametrize("make", [lambda: Scaled(4, 4), hooked, normed])
def test_what_is_more_than_a_product_is_not_merged(make):
    space = LoRASpace(nn.Sequential(make(), nn.Linear(4, 2)), torch.randn(1, 4), "0", ranks=(2,))
    with pytest.raises(InputError, match=r"computes more than x Wᵀ \+ b .*use the network with"):
        merge_adapters(space.build(space.uniform(2)))
