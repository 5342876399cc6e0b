"""The functions in a recipe: those that make an optimizer and a scheduler, and the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from optnas.errors import InputError
from optnas.utils.arguments import takes
from optnas.utils.code_hash import callable_name, code_hash
from optnas.utils.inputs import described

_OPTIMIZER = "optimizer=lambda model: torch.optim.AdamW(model.parameters(), lr=0.001)"
_SCHEDULER = (
    "scheduler=lambda optimizer, steps: torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, steps)"
)


def check_optimizer(optimizer: object, names: Sequence[str]) -> None:
    """Raises ValueError unless this is a name, or a function of the model."""
    if isinstance(optimizer, str) and optimizer in names:
        return
    if not callable(optimizer) or isinstance(_inner(optimizer), (type, torch.optim.Optimizer)):
        raise ValueError(
            f"optimizer must be one of {', '.join(names)}, or a function of the model, got "
            f"{optimizer!r}" + ("" if isinstance(optimizer, str) else f": write {_OPTIMIZER}")
        )
    if not takes(optimizer, 1) and not takes(optimizer, 2):
        raise ValueError(
            f"optimizer must be a function of the model, or of the model and the recipe, and "
            f"{callable_name(optimizer)} takes other arguments: write {_OPTIMIZER}"
        )
    code_hash(optimizer)  # raises if it can't be told from another one


def check_scheduler(scheduler: object) -> None:
    """Raises ValueError unless this is None, or a function of optimizer and steps."""
    if scheduler is None:
        return
    if not callable(scheduler) or isinstance(scheduler, (type, LRScheduler)):
        raise ValueError(
            f"scheduler must be a function of the optimizer and the number of steps, got "
            f"{scheduler!r}: write {_SCHEDULER}"
        )
    if not takes(scheduler, 2):
        raise ValueError(
            f"scheduler must be a function of the optimizer and the number of steps, and "
            f"{callable_name(scheduler)} takes other arguments: write {_SCHEDULER}"
        )
    code_hash(scheduler)


def check_loss(loss: object) -> None:
    """Raises ValueError unless this is a name, or a function of outputs and targets."""
    if isinstance(loss, str):  # which names there are depends on the data: see `check_recipe`
        return
    if not callable(loss) or isinstance(loss, type) or not takes(loss, 2):
        raise ValueError(
            f"loss must be a name, or a function of outputs and targets, got {loss!r}: write "
            "loss=lambda outputs, targets: …"
        )
    code_hash(loss)


def head_weights_of(given: Any) -> tuple[tuple[str, float], ...] | None:
    """The weights of heads as pairs of name and number, in the order of the names.

    Raises:
        ValueError: A weight is no number, or below 0.
    """
    if given is None:
        return None
    weights = dict(given)
    for name, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not weight >= 0:
            raise ValueError(f"head_weights must be numbers of at least 0, got {name}: {weight!r}")
    return tuple(sorted(weights.items())) or None


def check_accumulate(accumulate: object) -> None:
    """Raises ValueError unless this is a number of batches."""
    if not isinstance(accumulate, int) or isinstance(accumulate, bool) or accumulate < 1:
        raise ValueError(
            f"accumulate is a number of batches in each step, 1 or more, got {accumulate!r}"
        )


def check_together(
    given: Mapping[str, object], optimizers: Sequence[object], schedulers: Sequence[object]
) -> None:
    """Raises ValueError if a function takes the place of a setting that is given, too.

    Args:
        given: The settings that differ from their defaults.
        optimizers: The optimizer, or all that may be drawn.
        schedulers: The scheduler, or all that may be drawn.
    """
    for function in optimizers:
        if not callable(function) or takes_recipe(function):
            continue
        for name in _KEYWORD.keys() & given.keys():
            raise ValueError(
                f"{name}={given[name]!r} has no effect, because the function "
                f"{callable_name(function)} sets it: leave it out of the recipe, or let the "
                "function take it from there: optimizer=lambda model, recipe: "
                f"torch.optim.AdamW(model.parameters(), {_KEYWORD[name]}=recipe.{name})"
            )
    if any(scheduler is not None for scheduler in schedulers):
        for name in ("schedule", "warmup"):
            if name in given:
                raise ValueError(
                    f"{name}={given[name]!r} has no effect with a scheduler: leave one of the "
                    "two out of the recipe"
                )


_KEYWORD = {"learning_rate": "lr", "weight_decay": "weight_decay"}


def unused_settings(optimizers: Sequence[object]) -> tuple[str, ...]:
    """The settings that no optimizer of these takes."""
    own = all(callable(function) and not takes_recipe(function) for function in optimizers)
    return tuple(_KEYWORD) if own else ()


def takes_recipe(optimizer: Callable[..., Any]) -> bool:
    """Whether a function that makes an optimizer needs a second argument, the recipe."""
    return not takes(optimizer, 1)


def made_optimizer(model: nn.Module, recipe: Any) -> torch.optim.Optimizer:
    """The optimizer that the recipe's function makes.

    Raises:
        InputError: It makes something else.
    """
    function = recipe.optimizer
    made = function(model, recipe) if takes_recipe(function) else function(model)
    if not isinstance(made, torch.optim.Optimizer):
        raise InputError(
            f"the recipe's optimizer {callable_name(function)} must return a "
            f"torch.optim.Optimizer, got {described(made)}: write {_OPTIMIZER}"
        )
    return made


def made_scheduler(optimizer: torch.optim.Optimizer, recipe: Any, steps: int) -> LRScheduler | None:
    """The scheduler that the recipe's function makes, if it has one.

    Raises:
        InputError: It makes something else.
    """
    if recipe.scheduler is None:
        return None
    made = recipe.scheduler(optimizer, steps)
    if not isinstance(made, LRScheduler):
        raise InputError(
            f"the recipe's scheduler {callable_name(recipe.scheduler)} must return one of "
            f"torch.optim.lr_scheduler, got {described(made)}: write {_SCHEDULER}"
        )
    return made


def _inner(function: object) -> object:
    """What a partial is made of."""
    return function.func if isinstance(function, partial) else function
