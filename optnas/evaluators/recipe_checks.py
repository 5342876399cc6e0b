"""Whether a recipe fits the data and the loss of an evaluator."""

from __future__ import annotations

from optnas.datasets.dataset import Dataset, Loaders
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.recipe_space import RecipeSpace, possible


def check_recipe(
    recipe: Recipe | RecipeSpace, data: Dataset | Loaders, *, own_loss: bool = False
) -> None:
    """Raises ValueError if a setting that is used, or searched, can't be used here.

    Args:
        recipe: The recipe.
        data: What it trains on.
        own_loss: Whether the user's own loss is trained with.
    """
    if isinstance(data, Loaders) and recipe.batch_size is not None:
        raise ValueError("batch_size is the DataLoader's own: leave it out of the recipe")
    if _uses(recipe, "label_smoothing"):
        if own_loss:
            raise ValueError(
                "label_smoothing changes the built-in cross-entropy, and you gave a loss of your "
                "own: smooth the labels in there, and leave label_smoothing out of the recipe"
            )
        if data.task == "regression":
            raise ValueError(
                "label_smoothing is for classes, and the task is regression: leave it out of the "
                "recipe"
            )


def _uses(recipe: Recipe | RecipeSpace, name: str) -> bool:
    """Whether a setting has a value other than its default, or may have one."""
    return any(value != getattr(Recipe, name) for value in possible(recipe, name))
