"""Recipes whose settings are searched in the same trial as the architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial

from optnas.evaluators.recipe import Recipe
from optnas.evaluators.recipe_functions import check_together, unused_settings
from optnas.study.recipe_text import recipe_repr
from optnas.utils.distributions import as_distribution, suggest

Choice = Any
"""A fixed value, a sequence of values to choose from, a dictionary from labels to values, or an
Optuna distribution."""


_WEIGHTS = "head_weights"


@dataclass(frozen=True, repr=False)
class RecipeSpace:
    """A recipe with settings that are searched.

    Each attribute is a fixed value, a sequence of values to choose from, or an Optuna distribution.
    For a range, give `FloatDistribution(1e-4, 1e-1, log=True)`: the tuple `(1e-4, 1e-1)` is a
    choice of two values. A choice between functions is a dictionary, from labels to functions or
    names: `optimizer={"adamw": "adamw", "slow_head": slow_head}`. The parameters of the searched
    settings are named `recipe.learning_rate` and so on. `head_weights` is a dictionary with a
    value, a sequence or a distribution for each head (`recipe.head_weights.NAME`).

    Example:
        ```python
        import optnas
        from optuna.distributions import FloatDistribution

        recipe = optnas.RecipeSpace(
            optimizer=("adamw", "sgd"), learning_rate=FloatDistribution(1e-4, 1e-1, log=True)
        )
        ```

    Raises:
        ValueError: A value isn't allowed (every value of a sequence is checked, and both ends
            of a range, except for the learning rate).
    """

    optimizer: Choice = Recipe.optimizer
    learning_rate: Choice = Recipe.learning_rate
    weight_decay: Choice = Recipe.weight_decay
    batch_size: Choice = Recipe.batch_size
    _: KW_ONLY
    schedule: Choice = Recipe.schedule
    warmup: Choice = Recipe.warmup
    max_grad_norm: Choice = Recipe.max_grad_norm
    label_smoothing: Choice = Recipe.label_smoothing
    ema_decay: Choice = Recipe.ema_decay
    flip: Choice = Recipe.flip
    shift: Choice = Recipe.shift
    cutout: Choice = Recipe.cutout
    mixup: Choice = Recipe.mixup
    scheduler: Choice = Recipe.scheduler
    accumulate: Choice = Recipe.accumulate
    loss: Choice = Recipe.loss
    head_weights: Mapping[str, Choice] | None = None

    def __post_init__(self) -> None:
        for name, choice in self._settings().items():
            is_range = isinstance(choice, BaseDistribution)
            if is_range or _is_choice(choice):
                as_distribution(name, choice)
            # Nothing draws the 0 at which a range of learning rates may begin.
            if name == "learning_rate" and is_range:
                continue
            for value in _values(choice):
                Recipe(**_nested({name: value}))
        given = {n: c for n, c in self._settings().items() if c != getattr(Recipe, n, None)}
        check_together(given, possible(self, "optimizer"), possible(self, "scheduler"))

    def __repr__(self) -> str:
        unused = unused_settings(possible(self, "optimizer"))
        # It has no place in the texts of studies that were made before it could be searched.
        return recipe_repr(self, unused if self.loss else (*unused, "loss"))

    def _settings(self) -> dict[str, Any]:
        """All settings by name, with the weight of each head as one of its own."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        weights = found.pop(_WEIGHTS) or {}
        return found | {f"{_WEIGHTS}.{head}": choice for head, choice in weights.items()}

    def suggest(self, trial: BaseTrial) -> Recipe:
        """Draws the searched settings from the trial."""
        chosen = self._settings()
        for name, choice in chosen.items():
            if isinstance(choice, BaseDistribution) or _is_choice(choice):
                distribution = as_distribution(name, choice)
                drawn = suggest(trial, f"recipe.{name}", distribution)
                chosen[name] = choice[drawn] if isinstance(choice, Mapping) else drawn
        return Recipe(**_nested(chosen))


def possible(recipe: Recipe | RecipeSpace, name: str) -> tuple[Any, ...]:
    """The values that a setting may have: all that it is chosen from, or both ends of a range."""
    return _values(getattr(recipe, name))


def _nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with the weights of heads in one dictionary, as a recipe takes them."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        setting, _, head = name.partition(".")
        if head:
            found.setdefault(setting, {})[head] = value
        else:
            found[setting] = value
    return found


def _values(choice: Choice) -> tuple[Any, ...]:
    match choice:
        case CategoricalDistribution(choices=choices):
            return tuple(choices)
        case IntDistribution(low=low, high=high) | FloatDistribution(low=low, high=high):
            return low, high
        case _:
            if isinstance(choice, Mapping):
                return tuple(choice.values())
            return tuple(choice) if _is_choice(choice) else (choice,)


def _is_choice(choice: Choice) -> bool:
    return isinstance(choice, (Sequence, Mapping)) and not isinstance(choice, str)
