"""Whether a recipe fits the data and the loss of an evaluator."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor

from optnas.datasets.dataset import Dataset, Loaders
from optnas.datasets.losses import loss_named
from optnas.evaluators.heads import Heads
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.recipe_space import RecipeSpace, possible
from optnas.evaluators.scoring import Scoring
from optnas.utils.code_hash import callable_name
from optnas.utils.inputs import described, map_inputs, shapes_of


def check_recipe(
    recipe: Recipe | RecipeSpace,
    data: Dataset | Loaders,
    scoring: Scoring,
    *,
    own_step: bool = False,
) -> None:
    """Raises ValueError if a setting that is used, or searched, can't be used here.

    Args:
        recipe: The recipe.
        data: What it trains on.
        scoring: Its loss is what is trained with.
        own_step: Whether the user's own step runs the networks.
    """
    _check_loss(recipe, data, scoring.loss.losses if isinstance(scoring.loss, Heads) else ())
    if isinstance(data, Loaders) and recipe.batch_size is not None:
        raise ValueError("batch_size is the DataLoader's own: leave it out of the recipe")
    if own_step and _uses(recipe, "mixup"):
        raise ValueError(
            "mixup mixes pairs of inputs and targets, and your step takes batches of its own form: "
            "mix the examples in there, and leave mixup out of the recipe"
        )
    for loss in possible(recipe, "loss"):
        name = callable_name(loss) if callable(loss) else loss or scoring.loss_name
        own = callable(loss) or (not loss and bool(scoring.loss_code))
        _check_changes(recipe, name, own=own)
    if data.task == "regression" and _uses(recipe, "label_smoothing"):
        raise ValueError(
            "label_smoothing is for classes, and the task is regression: leave it out of the recipe"
        )
    for name in ("flip", "shift", "cutout"):
        if _uses(recipe, name):
            _check_images(name, max(possible(recipe, name)), data)
    if _uses(recipe, "mixup") and isinstance(data, Dataset):
        x = data.train[0]
        if not isinstance(x, Tensor):
            raise ValueError(
                f"mixup takes means of one tensor, and those of {data.name!r} are {described(x)}: "
                "leave it out of the recipe"
            )
        kind = x.dtype
        if not kind.is_floating_point:
            raise ValueError(
                f"mixup takes means of examples, and those of {data.name!r} are {kind}: leave it "
                "out of the recipe"
            )


def _check_loss(
    recipe: Recipe | RecipeSpace, data: Dataset | Loaders, heads: Collection[str]
) -> None:
    """Raises ValueError if the recipe's loss, or the weights of heads, can't be used here."""
    chosen = [loss for loss in possible(recipe, "loss") if loss]
    for loss in chosen:
        if isinstance(loss, str):
            loss_named(loss, data)
    weights = dict(recipe.head_weights or {})
    if chosen and heads:
        raise ValueError(
            "the recipe's loss takes the place of the losses of all heads: leave it out, and "
            "search their head_weights"
        )
    if unknown := sorted(weights.keys() - set(heads)):
        raise ValueError(
            f"head_weights has {', '.join(unknown)}, and "
            + (f"the heads are {', '.join(heads)}" if heads else "there are no heads")
            + ": give TrainingEvaluator the loss of each head, loss={'name': 'cross_entropy', …}"
        )


def _check_changes(recipe: Recipe | RecipeSpace, loss: str, *, own: bool) -> None:
    """Raises ValueError if the recipe changes a loss that can't be changed so.

    Args:
        recipe: Its `mixup` and `label_smoothing`.
        loss: The name of what it trains with; empty for the usual loss of the task.
        own: Whether that is the user's own function, or those of heads.
    """
    for name in ("label_smoothing", "mixup"):
        if own and _uses(recipe, name):
            raise ValueError(
                f"{name} changes a built-in loss, and you gave one of your own, {loss}: do it in "
                f"there, and leave {name} out of the recipe"
            )
    if loss not in ("", "cross_entropy") and _uses(recipe, "label_smoothing"):
        raise ValueError(
            f"label_smoothing changes the cross-entropy, and the loss is {loss!r}: leave "
            "label_smoothing out of the recipe, or take the usual loss"
        )


def _check_images(name: str, largest: int, data: Dataset | Loaders) -> None:
    """Raises ValueError unless the data are images that a change of this name fits."""
    if isinstance(data, Loaders):
        raise ValueError(
            f"{name} changes the images of a Dataset, and Loaders change their own: put it into "
            "the training loader, and leave it out of the recipe"
        )
    x = data.train[0]
    shape = tuple(x.shape[1:]) if isinstance(x, Tensor) else ()
    if len(shape) != 3:
        found = shapes_of(map_inputs(lambda tensor: tensor[0], x))
        raise ValueError(
            f"{name} is for images of shape (channels, height, width), and the examples of "
            f"{data.name!r} have the shape {found}: leave it out of the recipe"
        )
    y = data.train[1]
    of_classes = not y.is_floating_point() and y.ndim == 3
    if name != "cutout" and y.ndim > 2 and y.shape[-2:] == shape[1:] and not of_classes:
        raise ValueError(
            f"{name} moves images, and of targets that are images it moves class numbers of shape "
            f"(n, height, width) alone; those of {data.name!r} are {y.dtype} of shape "
            f"{tuple(y.shape)}: leave it out of the recipe"
        )
    if largest >= min(shape[1:]):
        raise ValueError(
            f"{name} must be below the side of the images, {min(shape[1:])} pixels, got {largest}"
        )


def _uses(recipe: Recipe | RecipeSpace, name: str) -> bool:
    """Whether a setting has a value other than its default, or may have one."""
    return any(value != getattr(Recipe, name) for value in possible(recipe, name))
