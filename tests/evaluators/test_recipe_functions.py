"""Optimizers and schedulers that functions of a recipe make."""

from functools import partial

import numpy as np
import optuna
import pytest
import torch
from optuna.distributions import FloatDistribution
from optuna.trial import FixedTrial
from torch import nn
from torch.optim import lr_scheduler

import optnas
from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.evaluators import (
    Recipe,
    RecipeSpace,
    Report,
    SharedWeightsEvaluator,
    TrainingEvaluator,
    checkpoint,
)
from optnas.study.recipe_text import further_settings

X = np.random.default_rng(0).normal(size=(90, 4))
DATA = optnas.arrays(X + (np.arange(90) % 3)[:, None], np.arange(90) % 3, name="blobs")
EPOCHS, SIZE = 4, 16


def network():
    torch.manual_seed(5)
    # Without a bias that the normalisation takes away: its gradient is what rounding leaves.
    into = nn.Linear(4, 8, bias=False)
    return nn.Sequential(into, nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def train(recipe, folder=None, listener=None):
    evaluator = TrainingEvaluator(DATA, EPOCHS, recipe, device="cpu")
    model = network()
    report = Report(listeners=[listener or (lambda *_: None)], folder=folder)
    candidate = Candidate("", torch.zeros(1, 4), lambda: model, 11)
    scores = evaluator.evaluate(candidate, evaluator.suggest(FixedTrial({})), report)
    return model, scores, report.curve


def groups(model):
    head = list(model[3].parameters())
    body = [*model[0].parameters(), *model[1].parameters()]
    return [{"params": body}, {"params": head, "lr": 0.03, "weight_decay": 0.0}]


def layered(model):
    return torch.optim.AdamW(groups(model), lr=0.01, weight_decay=0.1)


def one_cycle(optimizer, steps):
    return lr_scheduler.OneCycleLR(optimizer, [0.01, 0.03], steps)


def by_hand(make, schedule=None, *, accumulate=1, clip=None, factor=None):
    """The loop that people write; `factor` of a step multiplies each group's learning rate."""
    model = network()
    optimizer = make(model)
    highest = [group["lr"] for group in optimizer.param_groups]
    (x, y) = DATA.train
    batches = -(-len(x) // SIZE)
    steps = -(-batches // accumulate) * EPOCHS
    scheduler = schedule and schedule(optimizer, steps)
    torch.manual_seed(11)
    step = 0
    for _ in range(EPOCHS):
        order = torch.randperm(len(x)).split(SIZE)
        for first in range(0, batches, accumulate):
            if factor:
                for group, rate in zip(optimizer.param_groups, highest, strict=True):
                    group["lr"] = rate * factor(step, steps)
            together = order[first : first + accumulate]
            optimizer.zero_grad()
            for batch in together:
                loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
                (loss / len(together)).backward()
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            if scheduler:
                scheduler.step()
            step += 1
    return model


def assert_equal(model, expected):
    for ours, theirs in zip(
        model.state_dict().values(), expected.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_groups_accumulation_clipping_and_a_scheduler_equal_a_loop_written_out_by_hand():
    recipe = Recipe(
        optimizer=layered, scheduler=one_cycle, batch_size=SIZE, accumulate=2, max_grad_norm=0.5
    )
    model, *_ = train(recipe)
    assert_equal(model, by_hand(layered, one_cycle, accumulate=2, clip=0.5))


def test_the_schedule_lowers_the_rate_of_each_group():
    def cosine(step, steps):
        return (1 + np.cos(np.pi * step / steps)) / 2

    model, *_ = train(Recipe(optimizer=layered, batch_size=SIZE))
    assert_equal(model, by_hand(layered, factor=cosine))


def test_a_function_may_take_the_recipe():
    def adagrad(model, recipe):
        return torch.optim.Adagrad(model.parameters(), recipe.learning_rate)

    model, *_ = train(
        Recipe(optimizer=adagrad, learning_rate=0.02, batch_size=SIZE, schedule="constant")
    )
    assert_equal(model, by_hand(lambda model: torch.optim.Adagrad(model.parameters(), 0.02)))


def test_parameters_that_the_optimizer_lacks_stay_and_do_not_count_for_the_clipping():
    def head(model):
        return torch.optim.SGD(model[3].parameters(), 0.1)

    def only_head(model):
        for parameter in model[:3].parameters():
            parameter.requires_grad_(False)
        return head(model)

    recipe = Recipe(optimizer=head, batch_size=SIZE, schedule="constant", max_grad_norm=0.1)
    model, *_ = train(recipe)
    assert_equal(model, by_hand(only_head, clip=0.1))


def test_lbfgs_computes_its_loss_several_times_a_step():
    def lbfgs(model):
        return torch.optim.LBFGS(model.parameters(), 0.5, max_iter=4)

    model, *_ = train(Recipe(optimizer=lbfgs, batch_size=100, schedule="constant"))
    expected = network()
    optimizer = lbfgs(expected)
    (x, y) = DATA.train

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(expected(x), y)
        loss.backward()
        return loss

    for _ in range(EPOCHS):
        optimizer.step(closure)
    assert_equal(model, expected)


def test_a_plateau_is_one_of_the_training_loss_so_that_a_retraining_has_it_too():
    heard = []

    class Plateau(lr_scheduler.ReduceLROnPlateau):
        def step(self, metrics, epoch=None):
            heard.append(float(metrics))
            super().step(metrics)

    recipe = Recipe(scheduler=lambda optimizer, steps: Plateau(optimizer, patience=0))
    train(recipe)
    assert len(heard) == EPOCHS
    assert heard[-1] < heard[0]
    evaluator = TrainingEvaluator(DATA, EPOCHS, recipe, device="cpu").retraining()
    candidate = Candidate("", torch.zeros(1, 4), network, 11)
    report = Report()
    evaluator.evaluate(candidate, evaluator.suggest(FixedTrial({})), report)
    assert heard[EPOCHS:] == [entry["train_loss"] for entry in report.curve]


class Killed(KeyboardInterrupt):
    """Ends the run as a signal would."""


SCHEDULERS = {
    "one cycle": one_cycle,
    "lambda": lambda optimizer, steps: lr_scheduler.LambdaLR(optimizer, lambda s: 1 - s / steps),
    "milestones": lambda optimizer, steps: lr_scheduler.MultiStepLR(optimizer, [3, 9]),
    "sequence": lambda optimizer, steps: lr_scheduler.SequentialLR(
        optimizer,
        [
            lr_scheduler.LinearLR(optimizer, 0.1, total_iters=5),
            lr_scheduler.CosineAnnealingLR(optimizer, steps - 5),
        ],
        [5],
    ),
    "plateau": lambda optimizer, steps: lr_scheduler.ReduceLROnPlateau(optimizer, patience=0),
}
OPTIMIZERS = {
    "groups": layered,
    "momentum": lambda model: torch.optim.SGD(groups(model), 0.01, 0.9),
    "lbfgs": lambda model: torch.optim.LBFGS(model.parameters(), 0.1, max_iter=2),
}


@pytest.mark.parametrize(
    ("optimizer", "scheduler"),
    [
        *(("groups", name) for name in SCHEDULERS),
        ("momentum", "sequence"),
        ("lbfgs", "milestones"),
    ],
)
def test_a_training_resumes_bit_by_bit(tmp_path, monkeypatch, caplog, optimizer, scheduler):
    monkeypatch.setattr(checkpoint, "STORE_SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)
    recipe = Recipe(
        optimizer=OPTIMIZERS[optimizer],
        scheduler=SCHEDULERS[scheduler],
        batch_size=SIZE,
        accumulate=2,
    )

    def stop(step, scores):
        if step == 2:
            raise Killed

    whole = train(recipe)
    with pytest.raises(Killed):
        train(recipe, tmp_path, stop)
    epochs = []
    again = train(recipe, tmp_path, lambda step, _: epochs.append(step))
    assert epochs == [2, 3]
    assert again[1:] == whole[1:]
    weights = [[t.tolist() for t in run[0].state_dict().values()] for run in (whole, again)]
    assert weights[0] == weights[1]
    assert not caplog.records


def test_the_text_of_a_recipe_tells_functions_apart():
    def first(model):
        return torch.optim.SGD(model.parameters(), 0.1)

    def second(model):
        return torch.optim.SGD(model.parameters(), 0.2)

    second.__qualname__ = first.__qualname__
    texts = [str(Recipe(optimizer=make, scheduler=one_cycle)) for make in (first, first, second)]
    assert texts[0] == texts[1] != texts[2]
    assert "0x" not in texts[0]
    scheduler = further_settings(texts[0])["scheduler"]
    assert scheduler.startswith("one_cycle ")
    assert "learning_rate" not in texts[0]  # the function sets it
    assert "learning_rate" in str(Recipe(optimizer=takes_recipe))
    prints = [
        TrainingEvaluator(DATA, recipe=Recipe(optimizer=make)).fingerprint["recipe"]
        for make in (first, second)
    ]
    assert prints[0] != prints[1]


def test_functions_are_chosen_by_their_labels():
    space = RecipeSpace(
        optimizer={"adamw": "adamw", "layered": layered},
        scheduler={"none": None, "one_cycle": one_cycle},
        accumulate=(1, 2),
    )
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = set()
    for _ in range(20):
        trial = study.ask()
        recipe = space.suggest(trial)
        found.add(recipe.optimizer)
        label = trial.params["recipe.optimizer"]
        assert recipe.optimizer == {"adamw": "adamw", "layered": layered}[label]
    assert found == {"adamw", layered}
    assert "0x" not in repr(space)
    assert repr(space) != repr(RecipeSpace(optimizer={"adamw": "adamw", "layered": "sgd"}))


def takes_recipe(model, recipe):
    return torch.optim.AdamW(model.parameters(), recipe.learning_rate)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": torch.optim.AdamW}, r"write optimizer=lambda model: torch\.optim\.AdamW\("),
        ({"optimizer": partial(torch.optim.AdamW, lr=0.1)}, "write optimizer=lambda model"),
        ({"optimizer": torch.optim.AdamW(nn.Linear(1, 1).parameters())}, "write optimizer=lambda"),
        ({"optimizer": 3}, "or a function of the model, got 3: write"),
        ({"optimizer": lambda: None}, "takes other arguments: write optimizer="),
        ({"scheduler": lr_scheduler.OneCycleLR}, "write scheduler=lambda optimizer, steps:"),
        ({"scheduler": "cosine"}, "got 'cosine': write scheduler="),
        ({"scheduler": lambda optimizer: None}, "takes other arguments: write scheduler="),
        (
            {"optimizer": layered, "learning_rate": 0.1},
            r"learning_rate=0.1 has no effect, because the function layered sets it: .*lr=recipe.l",
        ),
        ({"optimizer": layered, "weight_decay": 0.1}, r"weight_decay=recipe\.weight_decay"),
        ({"scheduler": one_cycle, "warmup": 0.1}, "warmup=0.1 has no effect with a scheduler"),
        ({"scheduler": one_cycle, "schedule": "constant"}, "has no effect with a scheduler"),
    ],
)
def test_functions_that_can_not_be_used_are_refused(settings, message):
    for make in (Recipe, RecipeSpace):
        with pytest.raises((TypeError, ValueError), match=message):
            make(**settings)


def test_a_setting_that_a_drawn_function_would_ignore_is_not_searched():
    rates = FloatDistribution(1e-3, 1e-1, log=True)
    with pytest.raises(ValueError, match=r"learning_rate=Float.* has no effect"):
        RecipeSpace(optimizer={"a": "adamw", "b": layered}, learning_rate=rates)
    RecipeSpace(optimizer={"a": "adamw", "b": takes_recipe}, learning_rate=rates)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": lambda model: None}, r"must return a torch\.optim\.Optimizer, got a NoneT"),
        ({"scheduler": lambda optimizer, steps: 0.1}, r"one of torch\.optim\.lr_scheduler, got"),
    ],
)
def test_functions_that_make_something_else_get_a_sentence(settings, message):
    with pytest.raises(InputError, match=message):
        train(Recipe(**settings))


def test_shared_weights_have_an_optimizer_with_a_name():
    training = TrainingEvaluator(DATA, recipe=Recipe(optimizer=layered, scheduler=one_cycle))
    SharedWeightsEvaluator(training)
    with pytest.raises(ValueError, match=r"an optimizer that has a name, .* function layered out"):
        SharedWeightsEvaluator(training, recipe=Recipe(optimizer=layered))
    with pytest.raises(ValueError, match=r"trained without scheduler"):
        SharedWeightsEvaluator(training, recipe=Recipe(scheduler=one_cycle))
