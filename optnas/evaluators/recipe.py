"""The training recipe: fixed, or searched in the same trial as the architecture."""

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
    """All settings of a network's training.

    The learning rate falls to zero along half a cosine over all steps. The defaults suit small
    networks; the weight decay is AdamW's default.

    Example:
        ```python
        import optnas

        recipe = optnas.Recipe(optimizer="sgd", learning_rate=0.1, batch_size=32)
        ```

    Attributes:
        optimizer: `adam`, `adamw`, `sgd` (Nesterov momentum 0.9) or `rmsprop`.
        learning_rate: At the first step.
        weight_decay: As the optimizer defines it.
        batch_size: Examples per step; None takes 64, or the size of your DataLoader's batches.
        seed: Added to the trial's seed: with another one, the same network is trained anew.
        epochs: Passes over the training part. The evaluator sets this and the following fields.
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
        """Makes the optimizer.

        Args:
            trained: The parameters, on their device.
            in_part: Whether some of them have no gradient in some steps.
        """
        parameters = list(trained)
        # One kernel for all parameters where PyTorch has one: a small network's step is mostly the
        # overhead of launching kernels.
        fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in parameters)
        lr, decay = self.learning_rate, self.weight_decay
        match self.optimizer:
            case "adam":
                return torch.optim.Adam(parameters, lr, weight_decay=decay, fused=fused)
            case "adamw":
                return torch.optim.AdamW(parameters, lr, weight_decay=decay, fused=fused)
            case "sgd":
                fused = fused and not in_part  # fused SGD needs a momentum of all, or of none
                return torch.optim.SGD(
                    parameters, lr, 0.9, weight_decay=decay, nesterov=True, fused=fused
                )
            case _:
                return torch.optim.RMSprop(parameters, lr, weight_decay=decay)

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """A context that runs a network's passes on a device in this precision."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(device.type, torch.bfloat16)


Choice = Any
"""A fixed value, a sequence of values to choose from, or an Optuna distribution."""


@dataclass(frozen=True)
class RecipeSpace:
    """A recipe with settings that are searched.

    Each attribute is a fixed value, a sequence of values to choose from, or an Optuna distribution.
    For a range, give `FloatDistribution(1e-4, 1e-1, log=True)`: the tuple `(1e-4, 1e-1)` is a
    choice of two values. The parameters of the searched settings are named
    `recipe.learning_rate` and so on.

    Example:
        ```python
        import optnas
        from optuna.distributions import FloatDistribution

        recipe = optnas.RecipeSpace(
            optimizer=("adamw", "sgd"), learning_rate=FloatDistribution(1e-4, 1e-1, log=True)
        )
        ```

    Raises:
        ValueError: A value isn't allowed (every value of a sequence is checked).
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
        """Draws the searched settings from the trial."""
        chosen = self._settings()
        for name, choice in chosen.items():
            if isinstance(choice, BaseDistribution) or (
                isinstance(choice, Sequence) and not isinstance(choice, str)
            ):
                distribution = as_distribution(name, choice)
                chosen[name] = suggest(trial, f"recipe.{name}", distribution)
        return Recipe(**chosen)
