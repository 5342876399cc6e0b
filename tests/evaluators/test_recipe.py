"""Recipes: their settings one by one, each against PyTorch's own parts, and what is refused."""

import math
from dataclasses import replace

import numpy as np
import optuna
import pytest
import torch
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FixedTrial
from torch import nn

import optnas
from optnas.candidate import Candidate
from optnas.evaluators import (
    Recipe,
    RecipeSpace,
    Report,
    SharedWeightsEvaluator,
    TrainingEvaluator,
)

STEPS = 40
RNG = np.random.default_rng(0)
LABELS = np.arange(90) % 3
TABLE = optnas.arrays(RNG.normal(size=(90, 4)) + LABELS[:, None], LABELS, name="blobs")


def network():
    torch.manual_seed(5)
    # Without a bias that the normalisation takes away: its gradient is what rounding leaves.
    into = nn.Linear(4, 8, bias=False)
    return nn.Sequential(into, nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def train(evaluator, model, seed=11):
    candidate = Candidate("", torch.zeros(1, 4), lambda: model, seed)
    return evaluator.evaluate(candidate, evaluator.suggest(FixedTrial({})), Report())


def rates_of(make):
    """The learning rates of one of PyTorch's schedulers, of a highest rate of 0.1."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.1)
    scheduler, found = make(optimizer), []
    for _ in range(STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def one_cycle(optimizer, rise=0.3):
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.1, STEPS + 1, pct_start=rise, cycle_momentum=False
    )


def warmed_up(after):
    """Rises in 10 of the 40 steps, in a straight line that would reach the full rate in step 11."""

    def make(optimizer):
        rise = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / 11, 1.0, 10)
        schedulers = [rise, after(optimizer)]
        return torch.optim.lr_scheduler.SequentialLR(optimizer, schedulers, [10])

    return make


def test_the_default_rates_are_those_of_the_first_version():
    """Bit by bit: a study of that version has the same trainings when it is resumed."""
    recipe = Recipe(learning_rate=0.0037)
    for step in range(997):
        share = step / 997
        assert recipe.learning_rate_at(step, 997) == 0.0037 * (1 + math.cos(math.pi * share)) / 2


@pytest.mark.parametrize(
    ("settings", "make"),
    [
        ({}, lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS)),
        (
            {"warmup": 0.25},
            warmed_up(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS - 10)),
        ),
        (
            {"schedule": "constant", "warmup": 0.25},
            warmed_up(lambda o: torch.optim.lr_scheduler.ConstantLR(o, 1.0)),
        ),
        ({"schedule": "constant"}, lambda o: torch.optim.lr_scheduler.ConstantLR(o, 1.0)),
    ],
)
def test_schedules_are_those_of_pytorch(settings, make):
    recipe = Recipe(learning_rate=0.1, **settings)
    found = [recipe.learning_rate_at(step, STEPS) for step in range(STEPS)]
    assert found == pytest.approx(rates_of(make), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("warmup", [None, 0.1, 0.5])
def test_one_cycle_is_that_of_pytorch(warmup):
    recipe = Recipe(learning_rate=0.1, schedule="one_cycle", warmup=warmup)
    found = [recipe.learning_rate_at(step, STEPS + 1) for step in range(STEPS)]
    expected = rates_of(lambda o: one_cycle(o, 0.3 if warmup is None else warmup))
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "constant"])
@pytest.mark.parametrize("warmup", [None, 0.0, 0.5, 0.99])
@pytest.mark.parametrize("steps", [1, 2, 3, 10])
def test_no_step_of_a_short_training_is_without_a_rate(schedule, warmup, steps):
    recipe = Recipe(learning_rate=0.1, schedule=schedule, warmup=warmup)
    rates = [recipe.learning_rate_at(step, steps) for step in range(steps)]
    assert all(0 < rate <= 0.1 + 1e-12 for rate in rates)


def test_gradients_are_clipped_as_by_hand():
    recipe = Recipe("sgd", 0.1, batch_size=16, schedule="constant", max_grad_norm=0.1)
    scores = train(TrainingEvaluator(TABLE, 3, recipe, device="cpu"), network())

    model, ((x, y), (val_x, val_y)) = network(), (TABLE.train, TABLE.val)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, 0.9, weight_decay=1e-2, nesterov=True)
    torch.manual_seed(11)
    norms = []
    for _ in range(3):
        for batch in torch.randperm(len(x)).split(16):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
            norms.append(float(norm))
            for parameter in model.parameters():
                parameter.grad *= min(1.0, 0.1 / norm)
            optimizer.step()
    assert max(norms) > 0.2
    loss = nn.functional.cross_entropy(model.eval()(val_x), val_y).item()
    assert scores["val_loss"] == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("epoch", ["last", "best"])
def test_labels_are_smoothed_in_training_and_not_in_scores(epoch):
    recipe = Recipe("sgd", 0.1, batch_size=1000, schedule="constant", label_smoothing=0.3)
    scores = train(TrainingEvaluator(TABLE, 1, recipe, device="cpu", epoch=epoch), network())

    model, ((x, y), (val_x, val_y)) = network(), (TABLE.train, TABLE.val)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, 0.9, weight_decay=1e-2, nesterov=True)
    targets = 0.7 * nn.functional.one_hot(y, 3) + 0.3 / 3
    (-(targets * model(x).log_softmax(1)).sum(1)).mean().backward()
    optimizer.step()
    loss = nn.functional.cross_entropy(model.eval()(val_x), val_y).item()
    assert scores["val_loss"] == pytest.approx(loss, rel=1e-4)


def averaged_by_hand(decay, epochs=3):
    """The average of the weights and the statistics after each epoch, and the weights themselves.

    The average is kept in double precision; the statistics are BatchNorm's own, of each step.
    """
    model, (x, y) = network(), TABLE.train
    optimizer = torch.optim.SGD(model.parameters(), 0.1, 0.9, weight_decay=1e-2, nesterov=True)
    torch.manual_seed(11)
    average = {name: tensor.double() for name, tensor in model.state_dict().items()}
    step, found = 0, []
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(16):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
            kept = min(decay, (1 + step) / (10 + step))
            for name, tensor in model.state_dict().items():
                average[name] = kept * average[name] + (1 - kept) * tensor.double()
            step += 1
        average["1.num_batches_tracked"] = torch.tensor(step)
        found.append(dict(average))
    return found, model


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_scores_and_weights_are_those_of_the_averaged_weights(decay):
    recipe = Recipe("sgd", 0.1, batch_size=16, schedule="constant", ema_decay=decay)
    model = network()
    scores = train(TrainingEvaluator(TABLE, 3, recipe, device="cpu"), model)
    averages, trained = averaged_by_hand(decay)
    for name, tensor in model.state_dict().items():
        assert torch.allclose(tensor.double(), averages[-1][name].double(), atol=1e-5), name
    assert not torch.allclose(model[0].weight, trained[0].weight, atol=1e-2)
    model, (x, y) = network().eval(), TABLE.val
    model.load_state_dict(averages[-1])
    loss = nn.functional.cross_entropy(model(x), y).item()
    assert scores["val_loss"] == pytest.approx(loss, rel=1e-4)


def test_the_best_epoch_is_that_of_the_averaged_weights():
    recipe = Recipe("sgd", 0.1, batch_size=16, schedule="constant", ema_decay=0.5)
    x, y = TABLE.val
    losses = []
    for average in averaged_by_hand(0.5)[0]:
        by_hand = network().eval()
        by_hand.load_state_dict(average)
        losses.append(nn.functional.cross_entropy(by_hand(x), y).item())
    model = network()
    evaluator = TrainingEvaluator(TABLE, 3, recipe, device="cpu", epoch="best")
    scores = train(evaluator, model)
    assert scores["val_loss"] == pytest.approx(min(losses), rel=1e-4)
    assert nn.functional.cross_entropy(model(x), y).item() == pytest.approx(scores["val_loss"])


class Replacing(nn.Module):
    """Keeps statistics in buffers that it replaces, and counts in one that it shares."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.tied = self.layer
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
            self.count += 1
        return self.tied(x - self.mean)


def test_buffers_that_a_module_replaces_are_averaged_and_tied_weights_once():
    recipe = Recipe("sgd", 0.1, batch_size=16, schedule="constant", ema_decay=0.5)
    torch.manual_seed(5)
    model = Replacing()
    train(TrainingEvaluator(TABLE, 2, recipe, device="cpu"), model)

    torch.manual_seed(5)
    by_hand, (x, y) = Replacing(), TABLE.train
    optimizer = torch.optim.SGD(by_hand.parameters(), 0.1, 0.9, weight_decay=1e-2, nesterov=True)
    torch.manual_seed(11)
    weight, mean, step = by_hand.layer.weight.detach().clone(), by_hand.mean, 0
    for _ in range(2):
        for batch in torch.randperm(len(x)).split(16):
            optimizer.zero_grad()
            nn.functional.cross_entropy(by_hand(x[batch]), y[batch]).backward()
            optimizer.step()
            kept = min(0.5, (1 + step) / (10 + step))
            weight = kept * weight + (1 - kept) * by_hand.layer.weight.detach()
            mean = kept * mean + (1 - kept) * by_hand.mean
            step += 1
    assert torch.allclose(model.layer.weight, weight, atol=1e-5)
    assert torch.allclose(model.mean, mean, atol=1e-5)
    assert model.count == step


class Masked(nn.Module):
    """Keeps an infinite mask in a buffer, as attention does."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.register_buffer("mask", torch.tensor([0.0, 0.0, -math.inf, 0.0]))

    def forward(self, x):
        return self.layer(x * (self.mask + 1).softmax(0))


def test_an_infinite_mask_stays_what_it_is():
    recipe = Recipe("sgd", 0.1, batch_size=16, ema_decay=0.9)
    model = Masked()
    scores = train(TrainingEvaluator(TABLE, 2, recipe, device="cpu"), model)
    assert math.isfinite(scores["val_loss"])
    assert model.mask.tolist() == [0.0, 0.0, -math.inf, 0.0]


def test_the_retrained_network_has_the_averaged_weights():
    recipe = Recipe("sgd", 0.1, batch_size=16, schedule="constant", ema_decay=0.9)
    model, (x, y) = network(), TABLE.test
    scores = train(TrainingEvaluator(TABLE, 3, recipe, device="cpu").retraining(), model)
    assert nn.functional.cross_entropy(model(x), y).item() == pytest.approx(scores["test_loss"])
    plain = network()
    recipe = replace(recipe, ema_decay=0.0)
    train(TrainingEvaluator(TABLE, 3, recipe, device="cpu").retraining(), plain)
    assert not torch.allclose(model[0].weight, plain[0].weight, atol=1e-3)


def test_the_text_of_a_recipe_has_new_settings_only_where_they_are_used():
    assert repr(Recipe()) == (
        "Recipe(optimizer='adamw', learning_rate=0.003, weight_decay=0.01, batch_size=None, "
        "seed=0, epochs=0, precision='float32', loss='', data='')"
    )
    assert repr(Recipe(max_grad_norm=1.0, warmup=0.1)).endswith(
        "loss='', data='', warmup=0.1, max_grad_norm=1.0)"
    )
    assert repr(RecipeSpace(learning_rate=(0.1, 0.2))) == (
        "RecipeSpace(optimizer='adamw', learning_rate=(0.1, 0.2), weight_decay=0.01, "
        "batch_size=None)"
    )
    assert repr(RecipeSpace(schedule=("cosine", "constant"))).endswith(
        "batch_size=None, schedule=('cosine', 'constant'))"
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"schedule": ("cosine", "one_cycle", "constant")},
        {"warmup": FloatDistribution(0.0, 0.2)},
        {"max_grad_norm": (None, 1.0)},
        {"label_smoothing": FloatDistribution(0.0, 0.2)},
        {"ema_decay": (0.0, 0.99)},
        {"flip": (False, True)},
        {"shift": IntDistribution(0, 2)},
        {"cutout": IntDistribution(0, 4, step=2)},
        {"mixup": (0.0, 0.2)},
        {"accumulate": (1, 4)},
    ],
)
def test_every_setting_can_be_searched(settings):
    ((name, _),) = settings.items()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    evaluator = TrainingEvaluator(optnas.digits(), 1, RecipeSpace(**settings))
    texts = set()
    for _ in range(12):
        trial = study.ask()
        recipe = evaluator.suggest(trial)
        assert trial.params == {f"recipe.{name}": getattr(recipe, name)}
        texts.add(str(recipe))
    assert len(texts) > 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedule": "linear"}, "one of cosine, one_cycle, constant, got 'linear'"),
        ({"warmup": 1.0}, "from 0 to below 1, got 1.0"),
        ({"warmup": -0.1}, "from 0 to below 1"),
        ({"max_grad_norm": 0.0}, "above 0 .None clips nothing., got 0.0"),
        ({"max_grad_norm": math.nan}, "above 0"),
        ({"label_smoothing": 1.0}, "from 0 to below 1, got 1.0"),
        ({"ema_decay": 1.0}, "from 0 to below 1, got 1.0"),
        ({"flip": 1}, "flip must be True or False, got 1"),
        ({"shift": -1}, "shift is a number of pixels, 0 or more, got -1"),
        ({"cutout": 0.5}, "cutout is a number of pixels, 0 or more, got 0.5"),
        ({"mixup": -0.1}, "mixup must be at least 0, got -0.1"),
        ({"accumulate": 0}, "number of batches in each step, 1 or more, got 0"),
        ({"accumulate": 2.0}, "number of batches in each step, 1 or more, got 2.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Recipe(**settings)
    ((name, value),) = settings.items()
    with pytest.raises((TypeError, ValueError), match=message):
        RecipeSpace(**{name: (getattr(Recipe, name), value)})


def test_both_ends_of_a_range_are_checked():
    with pytest.raises(ValueError, match=r"from 0 to below 1, got 1\.0"):
        RecipeSpace(warmup=FloatDistribution(0.0, 1.0))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        RecipeSpace(batch_size=IntDistribution(0, 64))
    RecipeSpace(learning_rate=FloatDistribution(0.0, 0.1))  # nothing draws 0 itself


LINE = optnas.arrays(np.linspace(-1, 1, 60)[:, None], np.linspace(-1, 1, 60), task="regression")


@pytest.mark.parametrize(
    ("settings", "data", "loss", "message"),
    [
        ({"label_smoothing": 0.1}, TABLE, nn.CrossEntropyLoss(), "gave one of your own"),
        ({"label_smoothing": 0.1}, LINE, None, "is for classes"),
    ],
)
def test_settings_that_fit_neither_data_nor_loss_are_refused(settings, data, loss, message):
    TrainingEvaluator(data, loss=loss)
    ((name, value),) = settings.items()
    searched = RecipeSpace(**{name: (getattr(Recipe, name), value)})
    for recipe in (Recipe(**settings), searched):
        with pytest.raises(ValueError, match=message):
            TrainingEvaluator(data, recipe=recipe, loss=loss)
    with pytest.raises(ValueError, match=message):
        SharedWeightsEvaluator(TrainingEvaluator(data, loss=loss), recipe=Recipe(**settings))


@pytest.mark.parametrize(
    "settings",
    [{"schedule": "constant"}, {"warmup": 0.1}, {"ema_decay": 0.9}, {"accumulate": 2}],
)
def test_shared_weights_refuse_what_their_training_lacks(settings):
    ((name, value),) = settings.items()
    with pytest.raises(ValueError, match=rf"without {name}, got {name}={value!r}: .* leave it out"):
        SharedWeightsEvaluator(TrainingEvaluator(TABLE), recipe=Recipe(**settings))
    SharedWeightsEvaluator(TrainingEvaluator(TABLE, recipe=Recipe(**settings)))
    with pytest.raises(TypeError, match="must be a Recipe"):
        SharedWeightsEvaluator(TrainingEvaluator(TABLE), recipe=RecipeSpace(**settings))
