"""Losses that a recipe names: what is trained with them, and that scores stay comparable."""

from functools import partial

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn
from torch.nn import functional

import optnas
from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.evaluators import Recipe, RecipeSpace, Report, SharedWeightsEvaluator, TrainingEvaluator

X = np.random.default_rng(0).normal(size=(90, 4))
CLASSES = optnas.arrays(X, np.arange(90) % 3, name="blobs")
NUMBERS = optnas.arrays(X, X[:, :1] ** 2, name="squares")
ONE_STEP = {"optimizer": "sgd", "batch_size": 64, "schedule": "constant"}


def focal(outputs, targets, gamma=2.0):
    losses = functional.cross_entropy(outputs, targets, reduction="none")
    return ((1 - (-losses).exp()) ** gamma * losses).mean()


def own(outputs, targets):
    return 3 * functional.cross_entropy(outputs, targets)


def network():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return nn.Linear(4, 3)


def train(evaluator, params=None, model=None):
    """The network, its scores, and the recipe."""
    model = model or network()
    recipe = evaluator.suggest(FixedTrial(params or {}))
    candidate = Candidate("", torch.zeros(1, 4), lambda: model, 11)
    return model, evaluator.evaluate(candidate, recipe, Report()), recipe


def after_a_step(loss, data=CLASSES, model=None):
    """The network after the one step that an epoch of 54 examples has."""
    model = model or network()
    optimizer = Recipe(**ONE_STEP).make_optimizer(model.parameters())
    loss(model(data.train[0]), data.train[1]).backward()
    optimizer.step()
    return model


@pytest.mark.parametrize(
    ("given", "loss"),
    [
        (focal, focal),
        (partial(focal, gamma=1.0), partial(focal, gamma=1.0)),
        ("cross_entropy", functional.cross_entropy),
        (nn.MultiMarginLoss(), functional.multi_margin_loss),
        ("", own),
    ],
)
def test_steps_take_the_gradient_of_the_recipes_loss_and_scores_are_the_evaluators(given, loss):
    recipe = Recipe(loss=given, **ONE_STEP)
    evaluator = TrainingEvaluator(CLASSES, 1, recipe, loss=own, device="cpu")
    for one in (evaluator, evaluator.retraining()):
        model, scores, _ = train(one)
        data = CLASSES.val if one is evaluator else CLASSES.test
        if one is evaluator:
            torch.testing.assert_close(model.weight, after_a_step(loss).weight)
        (value, *_) = scores.values()
        assert value == pytest.approx(own(model(data[0]), data[1]).item(), rel=1e-6)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_a_name_is_that_of_pytorchs_function(name):
    torch.manual_seed(0)
    model, twin = nn.Linear(4, 1), nn.Linear(4, 1)
    twin.load_state_dict(model.state_dict())
    evaluator = TrainingEvaluator(NUMBERS, 1, Recipe(loss=name, **ONE_STEP), device="cpu")
    train(evaluator, model=model)
    after_a_step(getattr(functional, name), NUMBERS, twin)
    torch.testing.assert_close(model.weight, twin.weight)
    own_loss = TrainingEvaluator(NUMBERS, 1, loss=name)
    written = "" if name == "mse_loss" else name  # the usual loss has no name in recipes
    assert repr(own_loss.suggest(FixedTrial({}))).count(f"loss='{written}'") == 1


def test_an_own_loss_with_a_known_name_stays_the_own_loss():
    """The evaluator writes its name into the recipe, where a chosen loss stands, too."""

    def cross_entropy(outputs, targets):
        return own(outputs, targets)

    cross_entropy.__qualname__ = "cross_entropy"
    recipe = Recipe(**ONE_STEP)
    evaluator = TrainingEvaluator(CLASSES, 1, recipe, loss=cross_entropy, device="cpu")
    model, _, drawn = train(evaluator)
    assert drawn.loss == "cross_entropy"
    torch.testing.assert_close(model.weight, after_a_step(own).weight)


def test_a_loss_can_be_searched_and_is_drawn_again_by_its_label():
    space = RecipeSpace(loss={"ce": "cross_entropy", "focal": focal, "usual": ""})
    evaluator = TrainingEvaluator(CLASSES, 1, space, device="cpu")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    texts = {}
    for _ in range(12):
        trial = study.ask()
        recipe = evaluator.suggest(trial)
        texts[trial.params["recipe.loss"]] = str(recipe)
        assert str(evaluator.suggest(FixedTrial(trial.params))) == str(recipe)
        retrained = evaluator.retraining().suggest(FixedTrial(trial.params))
        assert retrained.loss == recipe.loss
    assert len(set(texts.values())) == 3
    assert "loss='cross_entropy'" in texts["ce"]
    assert "loss='focal " in texts["focal"]
    assert "focal" in evaluator.fingerprint["recipe"]


def test_texts_and_fingerprints_without_a_chosen_loss_are_as_before():
    assert "loss" not in repr(RecipeSpace(learning_rate=(0.1, 0.2)))
    evaluator = TrainingEvaluator(CLASSES, 1, loss=own)
    assert "loss='own'" in repr(evaluator.suggest(FixedTrial({})))
    assert evaluator.fingerprint["loss"].startswith("own ")


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        (CLASSES, {"loss": "focal"}, "'focal' is none for classification: give cross_entropy, or"),
        (CLASSES, {"loss": "mse_loss"}, "'mse_loss' is none for classification"),
        (NUMBERS, {"loss": "cross_entropy"}, "none for regression: give mse_loss or l1_loss or"),
        (CLASSES, {"loss": focal, "mixup": 0.2}, "mixup changes a built-in loss, .* focal"),
        (CLASSES, {"loss": focal, "label_smoothing": 0.1}, "label_smoothing changes a built-in"),
        (CLASSES, {"loss": len}, "a function of outputs and targets, got <built-in function len>"),
        (CLASSES, {"loss": nn.CrossEntropyLoss}, "a function of outputs and targets, got <class"),
        (CLASSES, {"head_weights": {"a": 1.0}}, "head_weights has a, and there are no heads"),
        (CLASSES, {"head_weights": {"a": -1.0}}, "numbers of at least 0, got a: -1.0"),
    ],
)
def test_losses_that_do_not_fit_are_refused_at_once(data, settings, message):
    with pytest.raises(ValueError, match=message):
        TrainingEvaluator(data, 1, Recipe(**settings))
    searched = {n: v if isinstance(v, dict) else {"it": v} for n, v in settings.items()}
    with pytest.raises(ValueError, match=message):
        TrainingEvaluator(data, 1, RecipeSpace(**searched))


@pytest.mark.parametrize("mixup", [0.0, 0.2])
def test_what_changes_a_loss_fits_the_one_that_is_trained_with(mixup):
    """The recipe's where it has one, else the evaluator's; wherever its name is given."""
    recipe = Recipe(loss="cross_entropy", label_smoothing=0.1, mixup=mixup)
    assert TrainingEvaluator(CLASSES, 1, recipe, loss=own)
    for one in (Recipe(mixup=mixup), Recipe(mixup=mixup, loss="l1_loss")):
        assert TrainingEvaluator(NUMBERS, 1, one, loss="l1_loss")
    smooth = RecipeSpace(loss={"a": "", "b": "cross_entropy"}, label_smoothing=(0.0, 0.1))
    with pytest.raises(ValueError, match="you gave one of your own, own: do it in there"):
        TrainingEvaluator(CLASSES, 1, smooth, loss=own)


def test_every_loss_that_may_be_drawn_is_looked_at_before_the_first_training():
    space = RecipeSpace(loss={"a": focal, "b": lambda o, t: o.sum(1) - t})
    evaluator = TrainingEvaluator(CLASSES, 1, space, device="cpu")
    with pytest.raises(InputError, match=r"tensor of one element, got shape \(18,\)"):
        train(evaluator, {"recipe.loss": "a"})
    alone = TrainingEvaluator(
        CLASSES,
        1,
        Recipe(loss=focal),
        step=lambda m, b: functional.cross_entropy(m(b[0]), b[1]),
        accuracy=False,
        device="cpu",
    )
    with pytest.raises(InputError, match="the recipe's loss takes outputs and targets: leave loss"):
        train(alone)


def test_shared_weights_are_trained_with_the_loss_of_their_recipe():
    space = optnas.FunctionSpace(lambda trial: nn.Linear(4, 3), torch.zeros(1, 4))
    weights = []
    for loss in ("", "cross_entropy", focal):
        evaluator = SharedWeightsEvaluator(
            TrainingEvaluator(CLASSES, 1, device="cpu"), 3, recipe=Recipe(loss=loss)
        )
        weights.append(evaluator.bind(space, None).prepare())
    assert weights[0] == weights[1] != weights[2]


def test_a_study_with_a_searched_loss_resumes_and_retrains(tmp_path):
    def search(trials):
        return optnas.Search(
            space=optnas.MLPSpace((4,), 3, depth=(1, 1), width=(32, 64)),
            evaluator=TrainingEvaluator(
                CLASSES,
                1,
                RecipeSpace(loss={"ce": "cross_entropy", "focal": focal}),
                device="cpu",
            ),
            objectives=("val_loss", "params"),
            sampler="random",
            trials=trials,
            seed=1,  # draws both losses
            name="losses",
            storage=f"sqlite:///{tmp_path}/losses.db",
        )

    search(3).run()
    study = search(6).run()
    assert {trial.params["recipe.loss"] for trial in study.trials} == {"ce", "focal"}
    number = study.best_trials[0].number
    found = optnas.retrain(study, search(6), number, seeds=1, epochs=1)
    assert set(found.runs[0].scores) == {"test_loss", "test_accuracy"}
