"""The settings of a supernet's training."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from optnas.evaluators.recipe import Recipe
from optnas.evaluators.supernet_training import SupernetTraining
from optnas.evaluators.training import TrainingEvaluator
from optnas.evaluators.training_loss import chosen_loss
from optnas.metrics.base import check_counts
from optnas.search_spaces import SearchSpace
from optnas.utils.code_hash import callable_name

TRAININGS = 16
"""The default cost of the supernet's training, as a multiple of a single network's."""

_RATE = "their learning rate rises in the first 3 % of the steps and falls along a cosine"
UNSUITABLE = {
    "schedule": _RATE,
    "warmup": _RATE,
    "scheduler": _RATE,
    "accumulate": "each step trains its networks on one batch, and averages their gradients",
    "ema_decay": "each step trains only some of them, and an average over all steps lags behind",
}
"""The settings of a recipe that a supernet's training doesn't take, each with the reason."""


@dataclass(frozen=True)
class SupernetSettings:
    """How the weights that all networks share are trained.

    Attributes:
        steps: Number of steps; None makes them cost about as much as 16 trainings of one network.
        networks: Networks trained in each step.
        recipe: All settings but those of `UNSUITABLE`.
        sandwich: Whether each step trains the largest and the smallest network among the others.

    Raises:
        TypeError: `recipe` is no Recipe.
        ValueError: A number is out of range, or the recipe has a setting of `UNSUITABLE`.
    """

    steps: int | None = None
    networks: int = 1
    recipe: Recipe = field(default_factory=lambda: Recipe(learning_rate=0.01))
    sandwich: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.recipe, Recipe):
            raise TypeError(f"the recipe of shared weights must be a Recipe, got {self.recipe!r}")
        if callable(self.recipe.optimizer):
            raise ValueError(
                "shared weights are trained by an optimizer that has a name, because they are "
                "tensors of their own, which grow with the networks, and not those of a model: "
                f"leave the function {callable_name(self.recipe.optimizer)} out of "
                "SharedWeightsEvaluator's recipe"
            )
        for name, why in UNSUITABLE.items():
            value = getattr(self.recipe, name)
            if value != getattr(Recipe, name):
                raise ValueError(
                    f"shared weights are trained without {name}, got {name}={value!r}: {why}; "
                    f"leave it out of SharedWeightsEvaluator's recipe"
                )
        check_counts(
            networks=self.networks, **({} if self.steps is None else {"steps": self.steps})
        )
        if self.sandwich and self.networks < 3:
            raise ValueError(
                f"the sandwich rule trains 3 networks a step or more, got {self.networks}"
            )

    @property
    def fingerprint(self) -> dict[str, Any]:
        """All settings, under the names that studies store."""
        return {
            "steps": self.steps or f"as {TRAININGS} trainings",
            "networks": self.networks,
            "shared recipe": repr(self.recipe),
            "sandwich": self.sandwich,
        }

    def training(self, evaluator: TrainingEvaluator, space: SearchSpace[Any]) -> SupernetTraining:
        """A training that hasn't begun.

        Args:
            evaluator: Data, loss and precision are taken from it.
            space: The networks are drawn from it.
        """
        feed = evaluator.feed()
        steps = self.steps
        if steps is None:
            single = evaluator.epochs * feed.steps(self.recipe.batch_size)
            steps = max(TRAININGS * single // self.networks, 1)
        return SupernetTraining(
            space,
            feed,
            replace(self.recipe, precision=evaluator.precision),
            chosen_loss(self.recipe, evaluator.loss, evaluator.data),
            steps=steps,
            networks=self.networks,
            sandwich=self.sandwich,
            look=partial(evaluator.look, example=space.example_inputs, recipe=self.recipe),
        )
