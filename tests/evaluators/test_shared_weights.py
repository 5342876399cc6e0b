"""Weights that all networks share: slices, the supernet's training, scores, studies."""

import gc
import math
import os
import threading
from random import Random

import numpy as np
import optuna
import pytest
import torch
from common.postgres import database
from filelock import FileLock
from optuna.trial import FixedTrial
from torch import nn
from torch.func import functional_call
from torch.nn import functional
from typer.testing import CliRunner

import optnas
from optnas.candidate import Candidate
from optnas.cli import app
from optnas.cli.network_tables import search_line
from optnas.errors import InputError, StoppedError
from optnas.evaluators import Recipe, RecipeSpace, Report, TrainingEvaluator
from optnas.evaluators.feed import ArrayFeed
from optnas.evaluators.shared_weights import SharedWeightsEvaluator
from optnas.evaluators.slices import parts
from optnas.evaluators.supernet import Supernet
from optnas.evaluators.supernet_training import SupernetTraining
from optnas.finished.decode import fresh_candidate
from optnas.pareto.confirmed import confirmed
from optnas.pareto.dominance import nondominated
from optnas.pareto.hypervolume import spread
from optnas.search_spaces import (
    CellSpace,
    FunctionSpace,
    MacroCNNSpace,
    MLPSpace,
    MobileSpace,
    ModelSpace,
    NASBench201Space,
    ResNetSpace,
)
from optnas.storage.open import close_storage, open_storage
from optnas.storage.shared_files import shared_files
from optnas.testing import EvaluatorContract
from optnas.utils.draft import Draft
from optnas.utils.random_state import seeded


class Recurrent(nn.Module):
    """An LSTM or a GRU of any size, and a head whose weights are tied to nothing."""

    def __init__(self, kind, width):
        super().__init__()
        self.body = kind(3, width, batch_first=True)
        self.head = nn.Linear(width, 2)

    def forward(self, x):
        return self.head(self.body(x)[0][:, -1])


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.embed = nn.Linear(3, width)
        self.place = nn.Parameter(torch.randn(1, 5, width))
        self.attend = nn.MultiheadAttention(width, 2, batch_first=True)
        self.head = nn.Linear(width, 2)

    def forward(self, x):
        x = self.embed(x) + self.place
        return self.head(self.attend(x, x, x, need_weights=False)[0].mean(1))


class Tied(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.into = nn.Linear(4, width, bias=False)
        self.out = nn.Linear(4, width, bias=False)
        self.out.weight = self.into.weight

    def forward(self, x):
        return self.into(x) @ self.out.weight


def lazy(trial):
    return nn.Sequential(
        nn.Conv2d(1, trial.suggest_int("channels", 1, 4), 3), nn.Flatten(), nn.LazyLinear(3)
    )


SPACES = {
    "mlp": MLPSpace((4,), 3, width=(8, 32), width_step=8),
    "cnn": MacroCNNSpace((1, 6, 6), 2, depth=(1, 3), channels=(2, 4, 8), kernel_sizes=(1, 5)),
    "cells": CellSpace((1, 5, 5), 2, (2, 4), (1, 2), (0, 1), (1, 2), output="unused"),
    "mobile": MobileSpace.small((1, 9, 9), 2, stages=2),
    "nasbench201": NASBench201Space(channels=4, cells=1),
    "resnet": ResNetSpace.small((1, 9, 9), 2, stages=2),
    "recurrent": ModelSpace(
        Recurrent,
        {"kind": {"lstm": nn.LSTM, "gru": nn.GRU}, "width": [2, 4, 6]},
        torch.randn(1, 5, 3),
    ),
    "attention": ModelSpace(Attention, {"width": [4, 8, 12]}, torch.randn(1, 5, 3)),
    "tied": ModelSpace(Tied, {"width": [2, 5]}, torch.randn(1, 4)),
    "lazy": FunctionSpace(lazy, torch.randn(1, 1, 6, 6)),
}


def network(space, rng):
    architecture = space.suggest(Draft({}, rng))
    return Candidate(architecture, space.example_inputs, lambda: space.build(architecture)).model


def batch(space, n=6):
    shape = (n, *space.example_inputs.shape[1:])
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("seed", range(3))
def test_a_network_run_through_the_supernet_equals_one_that_holds_its_slices(name, seed):
    space, rng, supernet = SPACES[name], Random(seed), Supernet()
    torch.manual_seed(seed)
    for _ in range(12):
        supernet.admit(network(space, rng))
    for tensor in supernet.tensors.values():
        with torch.no_grad():
            tensor.normal_()
    model, alone = (network(space, Random(100 + seed)).train() for _ in range(2))
    supernet.admit(model)
    assert supernet.load_into(alone) == []
    x = batch(space)
    with seeded(0):
        shared = functional_call(model, supernet.slices(model), (x,))
        shared.square().sum().backward()
    with seeded(0):
        own = alone(x)
        own.square().sum().backward()
    torch.testing.assert_close(shared, own)
    found = dict(alone.named_parameters())
    flowed = {key: torch.zeros_like(t) for key, t in supernet.tensors.items()}
    for part in parts(alone):
        gradient = found[part.name].grad
        if gradient is None:  # a branch that ends nowhere
            assert supernet.tensors[part.key].grad is None
            continue
        torch.testing.assert_close(part.of(supernet.tensors[part.key].grad), gradient)
        part.put(gradient, flowed[part.key])
    # and into nothing else
    for key, tensor in supernet.tensors.items():
        if tensor.grad is not None:
            torch.testing.assert_close(tensor.grad, flowed[key])


@pytest.mark.parametrize("name", SPACES)
def test_its_size_is_the_sum_of_the_largest_shapes(name):
    space, rng, supernet, largest = SPACES[name], Random(0), Supernet(), {}
    for _ in range(20):
        model = network(space, rng)
        supernet.admit(model)
        for part in parts(model):
            known = largest.setdefault(part.key, list(part.shape))
            largest[part.key] = [max(sizes) for sizes in zip(known, part.shape, strict=True)]
    assert {key: list(t.shape) for key, t in supernet.tensors.items()} == largest
    assert sum(t.numel() for t in supernet.tensors.values()) == sum(
        map(math.prod, largest.values())
    )


def test_slices_are_leading_channels_and_the_middle_of_kernels():
    supernet = Supernet()
    supernet.admit(nn.Conv2d(6, 8, 5))
    (weight, bias) = supernet.tensors.values()
    assert list(supernet.tensors) == ["weight (Conv2d)", "bias (Conv2d)"]
    small = nn.Conv2d(2, 3, 3)
    found = supernet.slices(small)
    assert torch.equal(found["weight"], weight[:3, :2, 1:4, 1:4])
    assert torch.equal(found["bias"], bias[:3])
    assert found["weight"].untyped_storage().data_ptr() == weight.untyped_storage().data_ptr()


def test_each_gate_of_a_recurrent_layer_is_a_slice_of_its_own():
    supernet = Supernet()
    supernet.admit(nn.LSTM(3, 4))
    whole = supernet.tensors["weight_hh_l0 (LSTM)"]
    small = supernet.slices(nn.LSTM(2, 3))["weight_hh_l0"]
    gates = [whole[4 * i : 4 * i + 3, :3] for i in range(4)]
    assert torch.equal(small, torch.cat(gates))


def test_other_kinds_of_module_at_one_path_share_nothing():
    supernet = Supernet()
    supernet.admit(nn.Conv2d(4, 4, 3, groups=4))
    supernet.admit(nn.Conv2d(8, 8, 3, groups=8))
    supernet.admit(nn.Conv2d(8, 8, 3, groups=2))
    supernet.admit(nn.Conv2d(8, 8, 3))
    supernet.admit(nn.Linear(8, 8))
    shapes = {key: tuple(t.shape) for key, t in supernet.tensors.items() if "weight" in key}
    assert shapes == {
        "weight (Conv2d depthwise)": (8, 1, 3, 3),
        "weight (Conv2d of 2 groups)": (8, 4, 3, 3),
        "weight (Conv2d)": (8, 8, 3, 3),
        "weight (Linear)": (8, 8),
    }


def test_a_tensor_that_grows_keeps_its_values_in_their_place():
    supernet = Supernet()
    supernet.admit(nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)))
    before = supernet.tensors["0.weight (Conv2d)"].detach().clone()
    grown = supernet.admit(nn.Sequential(nn.Conv2d(1, 6, 5), nn.BatchNorm2d(6)))
    after = supernet.tensors["0.weight (Conv2d)"]
    assert after.shape == (6, 2, 5, 5)
    assert torch.equal(after[:3, :2, 1:4, 1:4], before)
    assert 0 < float(after[3:].detach().std()) < 1
    assert supernet.tensors["1.weight (BatchNorm2d)"].tolist() == [1.0] * 6  # a constant stays one
    assert supernet.tensors["1.bias (BatchNorm2d)"].tolist() == [0.0] * 6
    assert {g.old.name for g in grown} == {"0.weight", "0.bias", "1.weight", "1.bias"}


def test_shapes_that_are_no_slices_of_each_other_are_refused():
    class Odd(nn.Module):
        def __init__(self, *shape):
            super().__init__()
            self.table = nn.Parameter(torch.zeros(shape))

    supernet = Supernet()
    supernet.admit(Odd(3, 4))
    with pytest.raises(
        InputError, match=r"table has the shape \(3,\) in one.* \(3, 4\) in another"
    ):
        supernet.admit(Odd(3))


def test_what_no_network_had_keeps_its_own_values_and_is_named():
    supernet = Supernet()
    supernet.admit(nn.Sequential(nn.Linear(2, 3)))
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    own = model[0].weight.detach().clone()
    assert supernet.load_into(model) == ["0.weight", "1.weight", "1.bias"]
    assert torch.equal(model[0].weight[:, :2], supernet.tensors["0.weight (Linear)"])
    assert torch.equal(model[0].weight[:, 2:], own[:, 2:])


# Training


def blobs(n=90):
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 3
    x = torch.randn(n, 4, generator=generator) + 2 * y[:, None]
    return optnas.arrays(x.numpy(), y.numpy(), name="blobs")


DATA = blobs()
MLP = MLPSpace((4,), 3, width=(8, 32), width_step=8)
REAL = TrainingEvaluator(DATA, 3, Recipe(learning_rate=0.01), device="cpu")


def shared(folder=None, steps=20, space=MLP, **settings):
    return SharedWeightsEvaluator(REAL, steps, **settings).bind(space, folder)


class TestSharedWeights(EvaluatorContract):
    evaluator = shared()
    space = MLP


class TestSharedWeightsTrainedOn(EvaluatorContract):
    evaluator = shared(finetune_epochs=2)
    space = MLP


def training(recipe=None, sandwich=False, networks=2, space=MLP, steps=30):
    feed = ArrayFeed(DATA.train, DATA.val, torch.device("cpu"))
    return SupernetTraining(
        space,
        feed,
        recipe or Recipe(learning_rate=0.01, batch_size=16),
        functional.cross_entropy,
        steps=steps,
        networks=networks,
        sandwich=sandwich,
    )


def nothing():
    pass


def finish(one):
    while one.step < one.steps:
        one.train_epoch(nothing)


def val_loss(model):
    with torch.no_grad():
        return float(functional.cross_entropy(model(DATA.val[0]), DATA.val[1]))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_training_lowers_the_loss_of_networks_it_never_saw(optimizer):
    rate = {"adamw": 0.01, "sgd": 0.05}[optimizer]
    one = training(Recipe(optimizer=optimizer, learning_rate=rate, batch_size=16), steps=200)
    rng = Random(1)
    models = [network(MLP, rng).eval() for _ in range(10)]
    before = list(map(val_loss, models))
    finish(one)
    for model in models:
        assert one.supernet.load_into(model) == []
    after = list(map(val_loss, models))
    assert sum(after) / 10 < 0.6 < 1.0 < sum(before) / 10


def test_the_first_step_equals_one_written_out_by_hand():
    fixed = ModelSpace(lambda width: nn.Linear(4, 3), {"width": [1]}, torch.randn(1, 4))
    recipe = Recipe(optimizer="sgd", learning_rate=0.1, weight_decay=0.0, batch_size=1000)
    with seeded(0):
        one = training(recipe, space=fixed, steps=1, networks=1)
        one.train_epoch(nothing)
    with seeded(0):
        torch.randperm(len(DATA.train[0]))  # one batch: the order doesn't matter
        model = nn.Linear(4, 3)
    functional.cross_entropy(model(DATA.train[0]), DATA.train[1]).backward()
    rate = 0.1 * 1.9  # at its full height; Nesterov's momentum looks 0.9 of a step ahead
    for name, parameter in model.named_parameters():
        moved = one.supernet.tensors[f"{name} (Linear)"]
        torch.testing.assert_close(moved, parameter - rate * parameter.grad)


def test_what_the_optimizer_remembers_grows_with_its_tensor():
    sizes = ModelSpace(lambda width: nn.Linear(4, width), {"width": [3, 5]}, torch.randn(1, 4))
    one = training(space=sizes, networks=1)
    one._weights.admit(nn.Linear(4, 3))
    (weight, bias) = one.supernet.tensors.values()
    (weight.sum() + bias.sum()).backward()
    one._weights._optimizer.step()
    before = one._weights._optimizer.state[weight]["exp_avg"].clone()
    one._weights.admit(nn.Linear(4, 5))
    state = one._weights._optimizer.state[one.supernet.tensors["weight (Linear)"]]
    assert state["exp_avg"].shape == (5, 4)
    assert torch.equal(state["exp_avg"][:3], before)
    assert not state["exp_avg"][3:].any()
    assert float(state["step"]) == 1.0


def test_the_sandwich_has_the_largest_and_the_smallest_network():
    one = training(sandwich=True, networks=4)
    largest, smallest, *others = one._made()
    widths = [m.out_features for m in largest.modules() if isinstance(m, nn.Linear)]
    assert widths == [32] * 5 + [3]
    widths = [m.out_features for m in smallest.modules() if isinstance(m, nn.Linear)]
    assert widths == [8, 3]
    assert len(others) == 2


def test_the_error_of_a_diverged_loss_names_what_to_do():
    one = training(Recipe(optimizer="sgd", learning_rate=1e30, batch_size=16))
    with pytest.raises(InputError, match=r"diverged after \d+ steps.*lower learning rate than 1e"):
        one.train_epoch(nothing)


def test_a_space_that_makes_no_network_is_an_error():
    def never(trial):
        raise ValueError("too wide")

    space = FunctionSpace(never, torch.zeros(1, 4))
    with pytest.raises(InputError, match=r"100 networks in a row, .* ValueError: too wide"):
        finish(training(space=space, steps=60))
    with pytest.raises(InputError, match=r" 3 networks in a row, .* ValueError: too wide"):
        finish(training(space=space, steps=2))


def test_a_network_that_cannot_be_made_or_run_is_skipped():
    class Fragile(nn.Module):
        def __init__(self, how):
            super().__init__()
            if how == "unmade":
                raise RuntimeError("can't be made")
            self.how, self.body = how, nn.Linear(4, 3)

        def forward(self, x):
            if self.how == "unrun":
                raise ValueError("can't be run")
            return self.body(x)

    space = ModelSpace(Fragile, {"how": ["unmade", "unrun", "fine"]}, torch.randn(1, 4))
    one = training(space=space, steps=40)
    losses = []
    while one.step < one.steps:
        losses.append(one.train_epoch(nothing))
    assert losses[-1] < losses[0]


# Scores


def score(evaluator, architecture, seed=0):
    space = evaluator._space
    candidate = Candidate(
        architecture, space.example_inputs, lambda: space.build(architecture), seed
    )
    recipe = evaluator.suggest(FixedTrial({}))
    return evaluator.evaluate(candidate, recipe, Report()), candidate


def test_a_score_is_that_of_the_slices():
    evaluator = shared()
    digest = evaluator.prepare()
    architecture = MLP.suggest(Draft({}, Random(3)))
    scores, candidate = score(evaluator, architecture)
    model = MLP.build(architecture)
    assert evaluator._ready.supernet.load_into(model) == []
    with torch.no_grad():
        outputs = model.eval()(DATA.val[0])
    assert scores["val_loss"] == pytest.approx(
        float(functional.cross_entropy(outputs, DATA.val[1])), rel=1e-6
    )
    accuracy = float((outputs.argmax(1) == DATA.val[1]).float().mean())
    assert scores["val_accuracy"] == pytest.approx(accuracy)
    assert candidate.details["shared_weights"] == {"weights": digest, "untrained": []}
    # No seed changes it.
    assert score(evaluator, architecture, seed=5)[0] == scores


def test_statistics_are_those_of_the_network_and_nothing_else_is_changed():
    space = ModelSpace(
        lambda width: nn.Sequential(
            nn.Linear(4, width), nn.BatchNorm1d(width), nn.Dropout(0.5), nn.Linear(width, 3)
        ),
        {"width": [4, 8]},
        torch.randn(1, 4),
    )
    evaluator = shared(space=space, steps=2)
    _, candidate = score(evaluator, space.suggest(FixedTrial({"width": 4})))
    linear, norm = candidate.model[0], candidate.model[1]
    ((x, _),) = evaluator._ready.calibration.batches
    assert len(x) == len(DATA.train[0])
    with torch.no_grad():
        torch.testing.assert_close(norm.running_mean, linear(x).mean(0))
        torch.testing.assert_close(norm.running_var, linear(x).var(0))
    assert norm.momentum == 0.1
    assert not any(module.training for module in candidate.model.modules())


def test_training_on_lowers_the_loss():
    architecture = MLP.suggest(Draft({}, Random(3)))
    inherited = score(shared(), architecture)[0]["val_loss"]
    assert score(shared(finetune_epochs=5), architecture)[0]["val_loss"] < inherited


def test_as_many_steps_as_sixteen_trainings_by_default():
    # 16 trainings · 3 epochs · 1 batch of 54 examples
    assert shared(steps=None)._supernet_training().steps == 16 * 3 * 1
    assert shared(steps=None, networks=2)._supernet_training().steps == 16 * 3 * 1 // 2
    assert shared(steps=None).configured(epochs=6)._supernet_training().steps == 96


def test_loaders_and_regression():
    x = torch.randn(60, 2)
    data = optnas.Loaders(
        torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x), 16),
        torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x), 16),
        "regression",
        "identity",
    )
    space = MLPSpace((2,), 2, depth=(1, 2), width=(8, 16), width_step=8)
    real = TrainingEvaluator(data, 1, device="cpu")
    evaluator = SharedWeightsEvaluator(real, 5).bind(space, None)
    scores, _ = score(evaluator, space.suggest(Draft({}, Random(0))))
    assert set(scores) == {"val_loss"}
    assert sum(len(x) for x, _ in evaluator._ready.calibration.batches) == 60


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"training": "digits"}, TypeError, "must be a TrainingEvaluator, got 'digits'"),
        (
            {"training": TrainingEvaluator(DATA, 3, RecipeSpace(optimizer=["sgd", "adam"]))},
            ValueError,
            "share one recipe",
        ),
        ({"steps": 0}, ValueError, "steps must be a whole number of at least 1, got 0"),
        ({"networks": 0}, ValueError, "networks must be"),
        ({"sandwich": True}, ValueError, "3 networks a step or more, got 1"),
        ({"finetune_epochs": -1}, ValueError, "finetune_epochs must be at least 0, got -1"),
    ],
)
def test_settings_are_checked(settings, error, message):
    with pytest.raises(error, match=message):
        SharedWeightsEvaluator(**{"training": REAL} | settings)


def test_without_a_space_the_error_names_what_to_do():
    evaluator = SharedWeightsEvaluator(REAL, 2)
    with pytest.raises(InputError, match="has to know the search space"):
        evaluator.prepare()


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_three_hundred_scores_take_no_more_memory_than_thirty():
    space = SPACES["cnn"]
    data = optnas.arrays(
        torch.randn(60, 1, 6, 6).numpy(), (torch.arange(60) % 2).numpy(), name="noise"
    )
    evaluator = SharedWeightsEvaluator(TrainingEvaluator(data, 1, device="cpu"), 5)
    evaluator = evaluator.bind(space, None)
    rng = Random(0)

    def megabytes_after(number):
        for _ in range(number):
            score(evaluator, space.suggest(Draft({}, rng)))
        gc.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    thirty = megabytes_after(30)
    assert megabytes_after(270) < thirty + 10  # 270 networks that were kept would take 14


# The folder


def test_it_is_trained_once_and_read_afterwards(tmp_path, monkeypatch):
    digest = shared(tmp_path).prepare()
    assert shared().prepare() == digest  # in memory the same comes out
    monkeypatch.setattr(SupernetTraining, "train_epoch", None)
    assert shared(tmp_path).prepare() == digest
    assert sorted(p.name for p in tmp_path.rglob("*.*")) == ["supernet.safetensors"]


def test_other_settings_have_weights_of_their_own(tmp_path):
    assert shared(tmp_path).prepare() != shared(tmp_path, steps=21).prepare()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("passes", [1, 3, 7])
def test_an_interrupted_training_resumes_to_the_same_weights(tmp_path, passes):
    def settings(folder):
        return shared(folder, steps=9, networks=3)

    lines, looks = [], iter(range(100))
    with pytest.raises(StoppedError):
        settings(tmp_path).prepare(lines.append, lambda: next(looks) >= passes)
    assert [p.name for p in tmp_path.rglob("*.pt")] == ["training.pt"]
    assert settings(tmp_path).prepare(lines.append) == settings(None).prepare()
    assert any(f"9 steps from step {passes}" in line for line in lines)
    assert not list(tmp_path.rglob("*.pt"))


def test_a_second_process_waits_for_the_first(tmp_path, monkeypatch):
    digest = shared(tmp_path).prepare()
    (weights,) = tmp_path.rglob("*.safetensors")
    moved = weights.rename(tmp_path / "moved")
    waits, lines = threading.Event(), []

    def say(line):
        lines.append(line)
        waits.set()

    monkeypatch.setattr(SupernetTraining, "train_epoch", None)
    found = []
    second = threading.Thread(target=lambda: found.append(shared(tmp_path).prepare(say)))
    with FileLock(weights.with_name("lock")):
        second.start()
        assert waits.wait(30)
        moved.rename(weights)
    second.join(30)
    assert found == [digest]
    assert lines == ["another process trains the weights that all networks share: waiting for it"]


def test_waiting_ends_with_the_run(tmp_path):
    shared(tmp_path).prepare()
    (weights,) = tmp_path.rglob("*.safetensors")
    weights.unlink()
    with FileLock(weights.with_name("lock")), pytest.raises(StoppedError):
        shared(tmp_path).prepare(stopped=lambda: True)


def test_weights_that_cannot_be_read_or_kept_are_an_error(tmp_path):
    shared(tmp_path).prepare()
    (weights,) = tmp_path.rglob("*.safetensors")
    weights.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"can't be read .*put the file back .*or remove it"):
        shared(tmp_path).prepare()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="can't be kept in"):
        shared(tmp_path / "file").prepare()


# Machines that share a server, and no folder


@pytest.fixture
def server_files(postgres_server, request):
    """The shared files of a study, as two machines have them."""
    url = database(postgres_server, f"w{abs(hash(request.node.nodeid))}")
    storages = [open_storage(url, create=True) for _ in range(2)]
    study = optuna.create_study(storage=storages[0])
    yield [shared_files(storage, study._study_id) for storage in storages]
    for storage in storages:
        close_storage(storage)


def test_one_machine_trains_it_and_the_other_takes_it(tmp_path, server_files, monkeypatch):
    one, two = server_files
    digest = shared(tmp_path / "one").exchanging(one).prepare()
    monkeypatch.setattr(SupernetTraining, "train_epoch", None)
    lines = []
    assert shared(tmp_path / "two").exchanging(two).prepare(lines.append) == digest
    assert lines == ["took the weights that all networks share from the study's server"]
    found = [p.read_bytes() for p in sorted(tmp_path.rglob("*.safetensors"))]
    assert found[0] == found[1]


def test_a_machine_waits_for_the_one_that_trains_it(tmp_path, server_files, monkeypatch):
    one, two = server_files
    monkeypatch.setattr("optnas.evaluators.supernet_folder.POLL_SERVER", 0.01)
    digest = shared(tmp_path / "one").prepare()  # without the server yet
    (weights,) = tmp_path.rglob("*.safetensors")
    name = f"{weights.parent.name}/{weights.name}"
    monkeypatch.setattr(SupernetTraining, "train_epoch", None)
    lines = []

    def say(line):
        lines.append(line)
        if len(lines) == 1:
            shared(tmp_path / "one").exchanging(one).prepare()  # which now gives it to the server

    with one.turn(name):
        assert shared(tmp_path / "two").exchanging(two).prepare(say) == digest
    assert [line.split(":")[0] for line in lines] == [
        "another machine trains the weights that all networks share",
        "took the weights that all networks share from the study's server",
    ]


def test_waiting_for_another_machine_ends_with_the_run(tmp_path, server_files):
    one, two = server_files
    shared(tmp_path / "one").prepare()
    (weights,) = tmp_path.rglob("*.safetensors")
    with one.turn(f"{weights.parent.name}/{weights.name}"), pytest.raises(StoppedError):
        shared(tmp_path / "two").exchanging(two).prepare(stopped=lambda: True)


def test_hosts_with_a_server_in_common_share_the_weights_of_a_study(
    tmp_path, postgres_server, monkeypatch
):
    url = database(postgres_server, "hosts")
    studies = []
    for host, trials in (("first", 2), ("second", 4)):
        folder = tmp_path / host
        folder.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.setattr("optnas.study.leases._host", lambda host=host: host)
        evaluator = SharedWeightsEvaluator(REAL, 20)
        own = search(tmp_path, evaluator, storage=url, trials=trials)
        studies.append(own.run(progress=False))
        assert len(list(folder.rglob("supernet.safetensors"))) == 1
        monkeypatch.setattr(SupernetTraining, "train_epoch", None)
    assert [len(study.trials) for study in studies] == [4, 4]
    details = {t.user_attrs["detail:shared_weights"]["weights"] for t in studies[0].trials}
    hosts = {t.user_attrs["lease"]["host"] for t in studies[0].trials}
    assert (len(details), hosts) == (1, {"first", "second"})
    for study in studies:
        close_storage(study._storage)


# Studies


def search(tmp_path, evaluator=None, **settings):
    return optnas.Search(
        space=MLP,
        evaluator=evaluator or SharedWeightsEvaluator(REAL, 200),
        sampler="random",
        folder=tmp_path,
        seed=0,
        device="cpu",
        name="tiny",
        **{"objectives": ("val_loss", "params"), "trials": 6} | settings,
    )


def test_a_study_with_shared_weights(tmp_path, capsys):
    search(tmp_path, trials=1).run()
    assert "the weights that all networks share: trained in" in capsys.readouterr().err
    study = search(tmp_path).run()
    digest = study.user_attrs["optnas:shared_weights"]
    details = [t.user_attrs["detail:shared_weights"] for t in study.trials]
    assert {detail["weights"] for detail in details} == {digest}
    # Inherited weights aren't those of a network that was trained.
    assert not (tmp_path / "tiny_weights").exists()
    printed = capsys.readouterr().err
    assert "[6/6]" in printed
    assert "weights trained" not in printed


def test_thop_counts_what_joins_the_front(tmp_path):
    """A second count of each network would take longer than its score."""
    study = search(tmp_path, objectives=("val_loss", "flops"), trials=25).run(progress=False)
    values = np.array([trial.values for trial in study.trials])
    for number, trial in enumerate(study.trials):
        joins = nondominated(values[: number + 1])[-1]
        assert ("macs_thop" in trial.user_attrs["detail:macs"]) == joins
        assert trial.user_attrs["detail:macs"]["macs"] == trial.values[1] / 2
    assert 0 < sum("macs_thop" in t.user_attrs["detail:macs"] for t in study.trials) < 25


def test_tables_show_that_scores_are_inherited(tmp_path):
    def printed(command, *options):
        url = f"sqlite:///{tmp_path}/tiny.db"
        result = CliRunner().invoke(app, [command, url, *options], env={"COLUMNS": "200"})
        assert result.exit_code == 0, result.output
        return result.output

    one = search(tmp_path)
    study = one.run(progress=False)
    assert "scores with inherited weights" in printed("pareto")
    optnas.confirm(study, one, most=1, seeds=1, progress=False)
    assert "trained for real" in printed("pareto")
    page = tmp_path / "page.html"
    printed("report", "--output", str(page))
    assert "with weights that the network inherits" in page.read_text()
    assert "all together, with shared weights" in page.read_text()
    number = next(iter(confirmed(study)))
    value = f"{study.trials[number].user_attrs['val_loss']:.4g}"
    assert f"with inherited weights: val_loss {value}" in search_line(study, number)


def test_a_study_of_plain_optuna_knows_its_weights():
    objective = optnas.Objective(MLP, SharedWeightsEvaluator(REAL, 5), ("val_loss", "params"))
    study = optuna.create_study(directions=objective.directions)
    study.optimize(objective, n_trials=2)
    (digest,) = {t.user_attrs["detail:shared_weights"]["weights"] for t in study.trials}
    assert study.user_attrs["optnas:shared_weights"] == digest


def test_other_weights_than_the_study_s_are_refused(tmp_path):
    search(tmp_path).run(progress=False)
    (weights,) = (tmp_path / "tiny_shared").rglob("*.safetensors")
    other = Supernet.load(weights)
    other.tensors = {key: tensor + 1 for key, tensor in other.tensors.items()}
    other.save(weights, {})
    with pytest.raises(InputError, match=r"with the shared weights .*NAME_shared, back"):
        search(tmp_path, trials=8).run(progress=False)
    study = search(tmp_path, trials=8).run(progress=False, accept_changes=True)
    assert study.user_attrs["optnas:shared_weights"] == other.digest


def test_other_weights_than_a_plain_study_s_are_refused(tmp_path):
    def run():
        evaluator = SharedWeightsEvaluator(REAL, 5)
        objective = optnas.Objective(MLP, evaluator, ("val_loss", "params"), shared=tmp_path)
        study.optimize(objective, n_trials=1)

    study = optuna.create_study(directions=["minimize", "minimize"])
    run()
    (weights,) = tmp_path.rglob("*.safetensors")
    other = Supernet.load(weights)
    other.tensors = {key: tensor + 1 for key, tensor in other.tensors.items()}
    other.save(weights, {})
    with pytest.raises(InputError, match=r"with the shared weights .*NAME_shared, back"):
        run()


def test_a_network_with_shared_weights_has_none_of_its_own(tmp_path):
    one = search(tmp_path, trials=1)
    study = one.run(progress=False)
    with pytest.raises(InputError, match="scored with shared weights, and has none of its own"):
        optnas.export_model(study, one, 0, tmp_path / "m.safetensors", weights="search")


def test_confirm_trains_for_real(tmp_path):
    one = search(tmp_path)
    study = one.run(progress=False)
    found = optnas.confirm(study, one, trials=[0, 1], seeds=1, progress=False)
    for number, member in found.items():
        ((loss, params),) = member.repeats
        trial = study.trials[number]
        assert params == trial.values[1]
        assert loss != trial.values[0]
    objective = one.objective()
    number, member = next(iter(found.items()))
    candidate = fresh_candidate(objective, study, study.trials[number], "confirm", 0)
    recipe = REAL.suggest(FixedTrial({}))
    alone = REAL.evaluate(candidate, recipe, Report())["val_loss"]
    assert member.repeats[0][0] == pytest.approx(alone, rel=1e-6)


def test_confirm_takes_the_given_number_of_the_front(tmp_path, monkeypatch):
    one = search(tmp_path)
    study = one.run(progress=False)
    with pytest.raises(InputError, match="most must be at least 1, got 0"):
        optnas.confirm(study, one, most=0)
    with pytest.raises(InputError, match="give either trials or most, not both"):
        optnas.confirm(study, one, most=2, trials=[0])
    monkeypatch.setattr("optnas.finished.confirm.front", lambda study: study.trials)
    assert len(optnas.confirm(study, one, most=2, seeds=1, progress=False)) == 2


def test_a_few_points_keep_most_of_the_hypervolume():
    points = np.array([[0.0, 1.0], [0.02, 0.98], [0.3, 0.3], [0.32, 0.29], [1.0, 0.0]])
    assert spread(points, 1) == [2]
    kept = set(spread(points, 3))
    assert 2 in kept
    assert 4 in kept
    assert sorted(spread(points, 9)) == list(range(5))


def test_retrain_trains_for_real(tmp_path):
    data = optnas.arrays(DATA.train[0].numpy(), DATA.train[1].numpy(), name="blobs")
    real = TrainingEvaluator(data, 3, Recipe(learning_rate=0.01), device="cpu")
    one = search(tmp_path, SharedWeightsEvaluator(real, 20))
    study = one.run(progress=False)
    (number, *_) = (t.number for t in optnas.front(study))
    result = optnas.retrain(study, one, number, seeds=1, progress=False)
    assert result.runs[0].scores["test_loss"] > 0


def test_the_evaluator_by_name(tmp_path):
    from optnas.search.job import overrides_for_workers
    from optnas.study.record import Overrides

    one = search(tmp_path, REAL)
    sharing = one.override(Overrides(evaluator="shared"))
    assert isinstance(sharing.evaluator, SharedWeightsEvaluator)
    assert overrides_for_workers(sharing)["evaluator"] == "shared"
    assert sharing.override(Overrides(evaluator="shared")).evaluator is sharing.evaluator
    assert sharing.override(Overrides(evaluator="training")).evaluator is REAL
    with pytest.raises(InputError, match="must be training or shared, got 'fast'"):
        one.override(Overrides(evaluator="fast"))
    table = optnas.FunctionEvaluator(lambda *_: {"val_loss": 1.0}, {"val_loss": "minimize"})
    with pytest.raises(InputError, match="this one has a FunctionEvaluator"):
        search(tmp_path, table).override(Overrides(evaluator="shared"))
