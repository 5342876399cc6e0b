"""What tables show of a recipe."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial

from optnas.evaluators import Recipe, RecipeSpace
from optnas.study.describe import recipe_text
from optnas.study.recipe_text import further_settings


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


def test_settings_are_read_from_the_text_of_a_space_too():
    space = RecipeSpace(warmup=FloatDistribution(0.0, 0.5), schedule=("cosine", "constant"))
    assert further_settings(repr(space)) == {
        "schedule": "('cosine', 'constant')",
        "warmup": "FloatDistribution(high=0.5, log=False, low=0.0, step=None)",
    }
    assert further_settings(repr(RecipeSpace())) == {}
