"""What tables show of a recipe."""

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial

import optnas
from optnas.cli.network_tables import retrained_table
from optnas.dashboard.notes import Notes
from optnas.evaluators import Recipe, RecipeSpace
from optnas.report.data import report_data
from optnas.study.describe import recipe_text
from optnas.study.recipe_text import further_settings, shown_recipe, shown_settings


def trial(recipe, searched=None):
    searched = searched or {}
    return create_trial(
        value=0.0,
        params={f"recipe.{name}": value for name, value in searched.items()},
        distributions={
            f"recipe.{name}": FloatDistribution(0.0, 1.0)
            if isinstance(value, float)
            else CategoricalDistribution([value])
            for name, value in searched.items()
        },
        user_attrs={"recipe": str(recipe)},
    )


@pytest.mark.parametrize(
    ("recipe", "searched", "text"),
    [
        (Recipe(learning_rate=0.1), {}, ""),
        (Recipe(learning_rate=0.1), {"learning_rate": 0.1234567}, "learning_rate=0.123"),
        (Recipe(schedule="constant", warmup=0.1), {}, "schedule=constant warmup=0.1"),
        (
            Recipe(learning_rate=0.1, max_grad_norm=1.0),
            {"learning_rate": 0.1},
            "learning_rate=0.1 max_grad_norm=1.0",
        ),
        (Recipe(warmup=0.1234567), {"warmup": 0.1234567}, "warmup=0.123"),
        (Recipe(), {"warmup": 0.0}, "warmup=0"),
        ({"rate": 0.1}, {}, "{'rate': 0.1}"),
        ("", {}, ""),
        ("Recipe(of my own", {}, ""),
    ],
)
def test_it_is_what_was_searched_and_what_differs_from_the_defaults(recipe, searched, text):
    assert recipe_text(trial(recipe, searched)) == text


def test_what_is_shown_leaves_out_what_the_recipe_leaves_to_others():
    recipe = Recipe(epochs=2, data="digits")
    shown = shown_recipe(repr(recipe))
    assert shown == (
        "Recipe(optimizer='adamw', learning_rate=0.003, weight_decay=0.01, seed=0, epochs=2, "
        "precision='float32', data='digits')"
    )
    assert eval(shown) == recipe


@pytest.mark.parametrize(
    "text",
    [
        repr(Recipe(learning_rate=1e-5, batch_size=8, loss="dice", data="x", mixup=0.1)),
        "Recipe(of my own",
        "Recipe(rate=None)",
        "{'batch_size': None}",
        "",
    ],
)
def test_any_other_text_is_shown_as_it_is(text):
    assert shown_recipe(text) == text


def test_settings_are_read_from_the_text_of_a_space_too():
    space = RecipeSpace(warmup=FloatDistribution(0.0, 0.5), schedule=("cosine", "constant"))
    assert further_settings(repr(space)) == {
        "schedule": "('cosine', 'constant')",
        "warmup": "FloatDistribution(high=0.5, log=False, low=0.0, step=None)",
    }
    assert further_settings(repr(RecipeSpace())) == {}


def test_report_and_card_show_what_differs_from_the_defaults():
    x = np.random.default_rng(0).normal(size=(60, 4))
    data = optnas.arrays(x, np.arange(60) % 3, name="blobs")
    recipe = RecipeSpace(learning_rate=(0.01, 0.1), label_smoothing=0.1, ema_decay=(0.0, 0.9))
    search = optnas.Search(
        space=optnas.MLPSpace((4,), 3, depth=(1, 1), width=(8, 8)),
        evaluator=optnas.TrainingEvaluator(data, 1, recipe, device="cpu"),
        objectives=("val_loss", "params"),
        sampler="random",
        trials=3,
        seed=1,
        name="smooth",
    )
    study = search.run(progress=False)
    best = study.best_trials[0]
    page = report_data(study, search=search)
    assert page.facts["Trained"].endswith("with label_smoothing 0.1, ema_decay (0.0, 0.9)")
    shown = page.details[best.number]["facts"]["training"]
    rate, decay = (best.params[f"recipe.{name}"] for name in ("learning_rate", "ema_decay"))
    assert shown == f"learning_rate={rate:.3g} ema_decay={decay:.3g} label_smoothing=0.1"
    card = optnas.export_model(study, search, best.number, "best.safetensors").card.read_text()
    assert "label_smoothing=0.1" in card
    assert ("ema_decay=0.9" in card) == (decay == 0.9)


def test_card_table_and_note_have_no_setting_without_a_value():
    x = np.random.default_rng(0).normal(size=(60, 4))
    data = optnas.arrays(x, np.arange(60) % 3, name="blobs")
    search = optnas.Search(
        space=optnas.MLPSpace((4,), 3, depth=(1, 1), width=(8, 8)),
        evaluator=optnas.TrainingEvaluator(data, 1, device="cpu"),
        objectives=("val_loss", "params"),
        sampler="random",
        trials=1,
        seed=1,
        name="plain",
    )
    study = search.run(progress=False)
    searched = optnas.export_model(study, search, 0, "searched.safetensors").card.read_text()
    result = optnas.retrain(study, search, 0, seeds=1, progress=False)
    card = optnas.export_model(study, search, 0, "best.safetensors").card.read_text()
    note = Notes(study).of(study.trials[0])
    for text in (searched, card, note, retrained_table(result).caption):
        assert "optimizer=" in text
        assert "=None" not in text
        assert "=''" not in text
    assert "| batch size | 64 |" in searched
    assert "| batch size | 64 |" in card
    assert "batch size" in note

    page = report_data(study, search=search)
    recipe = "Recipe(optimizer='adamw', learning_rate=0.003, weight_decay=0.01, seed=0)"
    (training,) = [one.settings for one in page.measurings if one.name == "Training"]
    assert (training["recipe"], training["batch size"], training["epochs"]) == (recipe, "64", "1")
    assert page.reproducing.fingerprint["evaluator recipe"] == recipe
    assert page.reproducing.fingerprint["evaluator batch size"] == "64"


@pytest.mark.parametrize(
    ("recipe", "data", "size"),
    [
        (Recipe(), "digits 8/1/1 e4e9b2e45be5", "64"),
        (RecipeSpace(learning_rate=(0.1, 0.2)), "digits 8/1/1 e4e9b2e45be5", "64"),
        (Recipe(), "mine 8/1 batches", "that of the DataLoader"),
        (Recipe(), "mine, version 2", None),
        (Recipe(batch_size=8), "digits 8/1/1 e4e9b2e45be5", None),
    ],
)
def test_the_size_of_batches_stands_next_to_a_recipe_that_leaves_it_to_others(recipe, data, size):
    shown = shown_settings({"evaluator recipe": repr(recipe), "evaluator data": data})
    assert shown.get("evaluator batch size") == size
    assert "None" not in shown["evaluator recipe"]
