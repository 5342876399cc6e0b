import math

import numpy as np
import optuna
import pytest
import torch
from optuna.distributions import FloatDistribution
from optuna.trial import FixedTrial
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import optnas
from optnas.candidate import Candidate
from optnas.errors import CandidateError, InputError
from optnas.evaluators import (
    FunctionEvaluator,
    Recipe,
    RecipeSpace,
    Report,
    TabularEvaluator,
    TrainingEvaluator,
    nasbench201,
)
from optnas.evaluators.abilities import configured
from optnas.search_spaces import MacroCNNSpace, MLPSpace, NASBench201Space
from optnas.search_spaces.nasbench201 import EDGES, NASBench201Architecture
from optnas.testing import EvaluatorContract
from optnas.utils.random_state import seeded


def blobs(n=90, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return optnas.arrays(rng.normal(size=(n, 4)) + 2 * y[:, None], y, name="blobs")


def line(n=60):
    x = np.linspace(-1, 1, n)[:, None]
    return optnas.arrays(x, 3 * x[:, 0] + 1, task="regression", name="line")


def images():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    return optnas.arrays(rng.normal(size=(60, 1, 6, 6)) + y[:, None, None, None], y)


def train(evaluator, model, seed=0, recipe=None):
    candidate = Candidate("", torch.zeros(1, 4), lambda: model, seed)
    report = Report()
    recipe = recipe or evaluator.suggest(FixedTrial({}))
    return evaluator.evaluate(candidate, recipe, report), report.curve


class TestTrainingClassifier(EvaluatorContract):
    evaluator = TrainingEvaluator(blobs(), 3, device="cpu")
    space = MLPSpace((4,), 3, width=(8, 16), width_step=8)


class TestTrainingRegressor(EvaluatorContract):
    evaluator = TrainingEvaluator(
        line(), 3, RecipeSpace(learning_rate=FloatDistribution(1e-3, 1e-1, log=True)), device="cpu"
    )
    space = MLPSpace((1,), 1, width=(8, 16), width_step=8)


class TestTrainingOnImages(EvaluatorContract):
    evaluator = TrainingEvaluator(images(), 2, device="cpu")
    space = MacroCNNSpace((1, 6, 6), 2, depth=(1, 2), channels=(4, 16))


class TestTrainingWithScores(EvaluatorContract):
    evaluator = TrainingEvaluator(
        blobs(),
        2,
        loss=nn.CrossEntropyLoss(label_smoothing=0.1),
        scores={"error": (lambda o, t: (o.argmax(1) != t).float().mean(), "minimize")},
        precision="bfloat16",
        device="cpu",
        epoch="best",
    )
    space = MLPSpace((4,), 3, width=(8, 16), width_step=8)


class TestFunctionEvaluator(EvaluatorContract):
    evaluator = FunctionEvaluator(
        lambda model, recipe, report: {"loss": float(torch.rand(1)), "speed": 2.0},
        {"loss": "minimize", "speed": "maximize"},
        suggest=lambda trial: {"rate": trial.suggest_float("rate", 0, 1)},
    )
    space = MLPSpace((4,), 3)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
def test_equals_a_loop_written_out_by_hand(optimizer):
    data = blobs()
    recipe = Recipe(optimizer=optimizer, learning_rate=0.01, weight_decay=0.1, batch_size=16)
    evaluator = TrainingEvaluator(data, 4, recipe, device="cpu")

    def network():
        torch.manual_seed(5)
        # Without a bias that the normalisation takes away: its gradient is what rounding leaves,
        # which differs between processors, and AdamW makes a whole step of it.
        into = nn.Linear(4, 8, bias=False)
        return nn.Sequential(into, nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))

    scores, _ = train(evaluator, network(), seed=11)

    model = network()
    parameters = model.parameters()
    step_of = {
        "adam": lambda: torch.optim.Adam(parameters, 0.01, weight_decay=0.1),
        "adamw": lambda: torch.optim.AdamW(parameters, 0.01, weight_decay=0.1),
        "sgd": lambda: torch.optim.SGD(parameters, 0.01, 0.9, weight_decay=0.1, nesterov=True),
        "rmsprop": lambda: torch.optim.RMSprop(parameters, 0.01, weight_decay=0.1),
    }[optimizer]()
    (x, y), (val_x, val_y) = data.train, data.val
    batches = math.ceil(len(x) / 16)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(step_of, 4 * batches)
    torch.manual_seed(11)
    for _ in range(4):
        order = torch.randperm(len(x))
        for batch in order.split(16):
            step_of.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            step_of.step()
            schedule.step()
    model.eval()
    outputs = model(val_x)
    loss = nn.functional.cross_entropy(outputs, val_y).item()
    assert scores["val_loss"] == pytest.approx(loss, rel=1e-4)
    assert scores["val_accuracy"] == pytest.approx((outputs.argmax(1) == val_y).float().mean())


def test_channels_last_changes_the_layout_and_nothing_else():
    data = images()
    evaluator = TrainingEvaluator(data, 2, Recipe(learning_rate=1e-4), device="cpu")
    results = []
    for width in (8, 16):  # 16 channels and more lie last
        torch.manual_seed(0)
        conv = nn.Conv2d(1, width, 3, padding=1)
        with torch.no_grad():
            conv.weight[8:] = 0
            conv.bias[8:] = 0
        head = nn.Linear(width, 2)
        with torch.no_grad():
            head.weight[:] = 0.1
            head.bias[:] = torch.tensor([0.0, 0.3])
        model = nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
        results.append(train(evaluator, model)[1][0]["val_loss"])
    assert results[0] == pytest.approx(results[1], rel=1e-2)


def test_digits_in_one_batch_of_a_single_example_left_over():
    data = optnas.arrays(np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 2, test=10,
                         val=17)  # fmt: skip
    assert len(data.train[0]) == 33
    evaluator = TrainingEvaluator(data, 2, Recipe(batch_size=32), device="cpu")
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    assert train(evaluator, model)[0]["val_loss"] > 0


def test_best_epoch_gives_its_scores_and_weights():
    data = blobs()
    evaluator = TrainingEvaluator(
        data, 8, Recipe(optimizer="sgd", learning_rate=1.0), device="cpu", epoch="best"
    )
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 3))
    scores, curve = train(evaluator, model)
    assert scores["val_loss"] == min(entry["val_loss"] for entry in curve)
    x, y = data.val
    assert nn.functional.cross_entropy(model(x), y).item() == pytest.approx(scores["val_loss"])


def test_divergence_is_the_candidates_fault():
    evaluator = TrainingEvaluator(
        line(), 3, Recipe(optimizer="sgd", learning_rate=1e20), device="cpu"
    )
    with pytest.raises(CandidateError, match=r"diverged: .* is (inf|nan)"):
        train(evaluator, nn.Linear(1, 1))


def test_targets_are_never_broadcast():
    evaluator = TrainingEvaluator(line(), 1, device="cpu")
    with pytest.raises(ValueError, match="as many outputs as targets"):
        train(evaluator, nn.Sequential(nn.Linear(1, 1), nn.Flatten(0)))


def test_another_seed_in_the_recipe_is_another_training():
    evaluator = TrainingEvaluator(blobs(), 2, device="cpu")
    results = []
    for seed in (0, 0, 1):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3))
        evaluator = TrainingEvaluator(blobs(), 2, Recipe(seed=seed), device="cpu")
        results.append(train(evaluator, model)[0]["val_loss"])
    assert results[0] == results[1] != results[2]


def test_trains_from_the_users_own_loaders():
    data = blobs()
    with seeded(0):
        train_loader = DataLoader(TensorDataset(*data.train), 16, shuffle=True)
        val_loader = DataLoader(TensorDataset(*data.val), 7)
        loaders = optnas.Loaders(train_loader, val_loader, "classification", "blobs v1")
        evaluator = TrainingEvaluator(loaders, 20, Recipe(learning_rate=0.05), device="cpu")
        scores, curve = train(evaluator, nn.Linear(4, 3))
    assert scores["val_accuracy"] > 0.8
    assert len(curve) == 20
    with pytest.raises(ValueError, match="batch_size is the DataLoader's own"):
        TrainingEvaluator(loaders, 20, Recipe(batch_size=8))


def test_recipes_are_searched_in_the_trial():
    space = RecipeSpace(
        optimizer=("sgd", "adam"),
        learning_rate=FloatDistribution(1e-4, 1e-1, log=True),
        weight_decay=0.0,
        batch_size=[16, 32],
    )
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    recipe = TrainingEvaluator(blobs(), 7, space).suggest(trial)
    assert set(trial.params) == {"recipe.optimizer", "recipe.learning_rate", "recipe.batch_size"}
    assert (recipe.epochs, recipe.weight_decay) == (7, 0.0)
    assert recipe.data == blobs().fingerprint


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TrainingEvaluator([1, 2]), "data must be a Dataset"),
        (lambda: TrainingEvaluator(blobs(), 0), "epochs must be at least 1, got 0"),
        (
            lambda: TrainingEvaluator(blobs(), precision="float64"),
            "one of float32, bfloat16, float16",
        ),
        (lambda: TrainingEvaluator(blobs(), epoch="first"), "last or best"),
        (lambda: TrainingEvaluator(blobs(), recipe={}), "must be a Recipe"),
        (lambda: TrainingEvaluator(blobs(), scores={"f": (len, "up")}), "minimize or maximize"),
        (lambda: Recipe(optimizer="lion"), "must be one of adam"),
        (lambda: Recipe(learning_rate=0), "above 0"),
        (lambda: Recipe(batch_size=0), "at least 1"),
        (lambda: RecipeSpace(optimizer=("adam", "lion")), "must be one of adam"),
        (lambda: FunctionEvaluator(max, {}), "provides is empty"),
        (lambda: FunctionEvaluator(max, {"loss": "down"}), "minimize or maximize"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_settings_can_be_overridden():
    evaluator = TrainingEvaluator(blobs(), 3)
    changed = evaluator.configured(device="cpu", epochs=9)
    assert (changed.fingerprint["epochs"], evaluator.fingerprint["epochs"]) == (9, 3)
    function = FunctionEvaluator(max, {"loss": "minimize"})
    assert configured(function, device="cpu") is function
    with pytest.raises(InputError, match="decides on its epochs itself"):
        configured(function, epochs=3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    ("precision", "error"), [("float32", 1e-2), ("bfloat16", 0.1), ("float16", 2e-2)]
)
def test_trains_on_cuda_as_on_a_cpu(precision, error):
    losses = []
    for device in ("cpu", "cuda"):
        with seeded(0):
            model = nn.Sequential(nn.Conv2d(1, 16, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                                  nn.Linear(16, 2))  # fmt: skip
        evaluator = TrainingEvaluator(images(), 5, precision=precision, device=device)
        losses.append(train(evaluator, model)[0]["val_loss"])
        assert {p.device.type for p in model.parameters()} == {device}
    assert losses[1] == pytest.approx(losses[0], rel=error)


class TestTabularEvaluator(EvaluatorContract):
    space = NASBench201Space(channels=2, cells=1)
    evaluator = nasbench201(repetition="random")


def look_up(evaluator, architecture, seed=0):
    candidate = Candidate(architecture, torch.zeros(1), nn.Identity, seed)
    return evaluator.evaluate(candidate, "", Report())


def test_a_table_gives_the_mean_or_one_of_its_repetitions():
    table = {"a": {"loss": [1.0, 3.0], "size": 7}, "b": {"loss": [2.0], "size": 9}}
    provides = {"loss": "minimize", "size": "minimize"}
    assert look_up(TabularEvaluator(table, provides), "a") == {"loss": 2.0, "size": 7.0}
    one = TabularEvaluator(table, provides, repetition="random")
    assert {look_up(one, "a", seed)["loss"] for seed in range(20)} == {1.0, 3.0}
    paired = TabularEvaluator(
        {"a": {"x": [1, 2, 3], "y": [1, 2, 3]}},
        dict.fromkeys("xy", "minimize"),
        repetition="random",
    )
    assert all(len(set(look_up(paired, "a", seed).values())) == 1 for seed in range(9))
    with pytest.raises(CandidateError, match="2 architectures doesn't hold c"):
        look_up(one, "c")


def test_tables_that_differ_have_different_fingerprints():
    provides = {"loss": "minimize"}
    first = TabularEvaluator({"a": {"loss": 1.0}}, provides)
    other = TabularEvaluator({"a": {"loss": 1.5}}, provides)
    assert first.fingerprint != other.fingerprint
    assert first.fingerprint == TabularEvaluator({"a": {"loss": 1.0}}, provides).fingerprint


@pytest.mark.parametrize(
    ("table", "provides", "repetition", "message"),
    [
        ({}, {"loss": "minimize"}, "mean", "empty"),
        ({"a": {"loss": 1}}, {"acc": "maximize"}, "mean", "no 'acc'; it has: loss"),
        ({"a": {"loss": 1}}, {"loss": "minimize"}, "first", "mean or random, got 'first'"),
    ],
)
def test_a_table_that_cannot_be_used(table, provides, repetition, message):
    with pytest.raises(ValueError, match=message):
        TabularEvaluator(table, provides, repetition=repetition)


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100", "imagenet16-120"])
def test_nasbench201_agrees_with_the_network_it_describes(dataset):
    """A cell without a way from input to output can't do better than chance."""
    chance = {"cifar10": 90.0, "cifar100": 99.0, "imagenet16-120": 100 - 100 / 120}[dataset]
    evaluator = nasbench201(dataset)
    rng = np.random.default_rng(0)
    names = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
    cut_off = 0
    for _ in range(500):
        operations = tuple(rng.choice(names, 6).tolist())
        reached = {0}
        for target in (1, 2, 3):
            for (i, j), operation in zip(EDGES, operations, strict=True):
                if j == target and i in reached and operation != "none":
                    reached.add(j)
        error = look_up(evaluator, NASBench201Architecture(operations))["val_error"]
        if 3 not in reached:
            cut_off += 1
            assert error == pytest.approx(chance, abs=0.4)
        else:
            assert error < chance - 1
    assert cut_off > 3
    best = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
    best += "+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
    if dataset == "cifar10":
        assert look_up(evaluator, best)["val_error"] == pytest.approx(100 - 91.607, abs=1e-3)


def test_nasbench201_has_three_datasets():
    with pytest.raises(InputError, match="unknown dataset 'mnist'; there are: cifar10, cifar100"):
        nasbench201("mnist")
