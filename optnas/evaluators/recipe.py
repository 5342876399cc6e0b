"""How a network is trained: fixed, or searched in the same trial as the architecture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from typing import Any

import torch
from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial
from torch import Tensor

from optnas.utils.distributions import as_distribution, suggest

OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a network is trained, besides its architecture.

    The learning rate falls to zero along half a cosine over all steps. The defaults suit small
    networks; weight decay is AdamW's.

    Attributes:
        optimizer: `adam`, `adamw`, `sgd` (Nesterov momentum 0.9) or `rmsprop`.
        learning_rate: At the first step.
        weight_decay: As the optimizer defines it.
        batch_size: Examples in a step; None takes 64, or what a person's own DataLoader makes.
        seed: A seed of the recipe's own, beside the trial's: another seed is another training of
            the same network.
        epochs: Passes over the training part (the evaluator fills this in, and what follows).
        precision: `float32` or `bfloat16` (autocast).
        loss: Name of the loss.
        data: Fingerprint of data and split.
    """

    optimizer: str = "adamw"
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    batch_size: int | None = None
    seed: int = 0
    epochs: int = 0
    precision: str = "float32"
    loss: str = ""
    data: str = ""

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {self.optimizer!r}"
            )
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be above 0, got {self.learning_rate}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be at least 0, got {self.weight_decay}")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")

    def make_optimizer(
        self, trained: Iterable[Tensor], *, in_part: bool = False
    ) -> torch.optim.Optimizer:
        """The optimizer for parameters, on the device where they are.

        Args:
            trained: The parameters.
            in_part: Whether some of them have no gradient in some steps.
        """
        parameters = list(trained)
        # One kernel for all parameters, where PyTorch has one: the step of a small network is
        # mostly the overhead of launching many.
        fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in parameters)
        lr, decay = self.learning_rate, self.weight_decay
        match self.optimizer:
            case "adam":
                return torch.optim.Adam(parameters, lr, weight_decay=decay, fused=fused)
            case "adamw":
                return torch.optim.AdamW(parameters, lr, weight_decay=decay, fused=fused)
            case "sgd":
                fused = fused and not in_part  # it wants a momentum of all, or of none
                return torch.optim.SGD(
                    parameters, lr, 0.9, weight_decay=decay, nesterov=True, fused=fused
                )
            case _:
                return torch.optim.RMSprop(parameters, lr, weight_decay=decay)

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """The precision, for a pass through a network on a device."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(device.type, torch.bfloat16)


Choice = Any
"""A fixed value, a sequence of values to choose from, or an Optuna distribution."""


@dataclass(frozen=True)
class RecipeSpace:
    """A recipe of which some settings are searched.

    Each attribute of the same name in `Recipe` is a fixed value, a sequence of values to choose
    from, or, for a range, an Optuna distribution (`FloatDistribution(1e-4, 1e-1, log=True)`; the
    tuple `(1e-4, 1e-1)` would be a choice of two). Searched ones are parameters
    `recipe.learning_rate` and so on.

    Raises:
        ValueError: A value isn't allowed (every value of a sequence is tried).
    """

    optimizer: Choice = Recipe.optimizer
    learning_rate: Choice = Recipe.learning_rate
    weight_decay: Choice = Recipe.weight_decay
    batch_size: Choice = Recipe.batch_size

    def __post_init__(self) -> None:
        for name, choice in self._settings().items():
            if isinstance(choice, Sequence) and not isinstance(choice, str):
                for value in choice:
                    Recipe(**{name: value})
                as_distribution(name, choice)
            elif not isinstance(choice, BaseDistribution):
                Recipe(**{name: choice})

    def _settings(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def suggest(self, trial: BaseTrial) -> Recipe:
        """Draws what is searched."""
        chosen = self._settings()
        for name, choice in chosen.items():
            if isinstance(choice, BaseDistribution) or (
                isinstance(choice, Sequence) and not isinstance(choice, str)
            ):
                distribution = as_distribution(name, choice)
                chosen[name] = suggest(trial, f"recipe.{name}", distribution)
        return Recipe(**chosen)
