"""Checks of the settings of a `TrainingEvaluator`."""

from __future__ import annotations

from numbers import Integral
from typing import Literal, get_args

from optnas.datasets.dataset import Dataset, Loaders
from optnas.errors import InputError
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.recipe_space import RecipeSpace
from optnas.utils.arguments import takes

Precision = Literal["float32", "bfloat16", "float16"]
Epoch = Literal["last", "best"]


def check_settings(
    data: object, recipe: object, step: object, precision: object, epoch: object
) -> None:
    """Raises TypeError or ValueError unless each setting is of its kind."""
    if not isinstance(data, (Dataset, Loaders)):
        raise TypeError(
            "data must be a Dataset (optnas.arrays(x, y)) or Loaders (optnas.Loaders(...)), "
            f"got {type(data).__name__}"
        )
    if isinstance(data, Dataset):
        for part, (_, y) in (("train", data.train), ("val", data.val)):
            if not len(y):
                raise InputError(
                    f"{data.name}: the part {part} has no examples: networks are trained on train, "
                    "and compared on val, so give both some"
                )
    if not isinstance(recipe, (Recipe, RecipeSpace)):
        raise TypeError(f"recipe must be a Recipe or a RecipeSpace, got {recipe!r}")
    if step is not None and not (callable(step) and takes(step, 2)):
        raise TypeError(
            f"step must be a function of model and batch, got {step!r}: write step=lambda "
            "model, batch: (model(batch[0]), batch[1]), say"
        )
    if precision not in get_args(Precision):
        known = ", ".join(get_args(Precision))
        raise ValueError(f"precision must be one of {known}, got {precision!r}")
    if epoch not in get_args(Epoch):
        raise ValueError(f"epoch must be last or best, got {epoch!r}")


def check_epochs(epochs: object) -> None:
    """Raises InputError unless it is a number of epochs."""
    if not isinstance(epochs, Integral):
        raise InputError(f"epochs must be a whole number of at least 1, got {epochs!r}")
    if epochs < 1:
        raise InputError(f"epochs must be at least 1, got {epochs}")
