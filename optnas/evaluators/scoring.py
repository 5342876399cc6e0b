"""What is computed from a network's outputs: the loss, and the scores with their directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from optnas.datasets import losses
from optnas.datasets.dataset import Dataset, Loaders
from optnas.datasets.losses import chance_scores, loss_named, standard_loss
from optnas.errors import InputError
from optnas.evaluators.heads import HeadLoss, Heads
from optnas.evaluators.training_loss import Loss
from optnas.study.objectives import Direction, check_directions
from optnas.utils.code_hash import callable_name, code_hash

Score = Callable[[Any, Any], float | Tensor]
Scores = Mapping[str, tuple[Score, Direction] | None]
"""Further scores by name, each a function and its direction; None drops a usual one."""


@dataclass(frozen=True)
class Scoring:
    """The loss and the scores of an evaluator.

    Attributes:
        loss: `loss(outputs, targets)`, a tensor of one element.
        loss_name: The name of the user's own loss; empty for the usual one.
        loss_code: A hash of its code.
        scores: The functions of outputs and targets, by name.
        provides: The directions of `val_loss` and the scores.
        codes: A hash of the code of each score that the user gave.
    """

    loss: Loss
    loss_name: str
    loss_code: str
    scores: Mapping[str, Score]
    provides: Mapping[str, Direction]
    codes: Mapping[str, str]

    @property
    def fingerprint(self) -> dict[str, str]:
        """Names and hashes of the loss and of the scores that the user gave."""
        scores = (f"{name} ({self.provides[name]}) {code}" for name, code in self.codes.items())
        loss = f"{self.loss_name} {self.loss_code}" if self.loss_name else "standard"
        return {"loss": loss, "scores": ", ".join(scores)}

    def chance(self, data: Dataset) -> Mapping[str, float]:
        """The scores of a constant prediction: of the standard loss and of the accuracy."""
        found = chance_scores(data)
        known = set() if self.loss_name else {"val_loss"}
        if self.scores.get("val_accuracy") is losses.accuracy:
            known.add("val_accuracy")
        return {name: found[name] for name in sorted(known)}


def scoring(
    data: Dataset | Loaders,
    loss: Loss | str | Mapping[str, HeadLoss] | None,
    scores: Scores | None,
    *,
    accuracy: bool,
) -> Scoring:
    """The loss and the scores for some data.

    Args:
        data: Its task has a usual loss, and usual scores.
        loss: In place of the usual loss: a function, a name, or the loss of each head.
        scores: Further scores. A usual one whose value is None is dropped.
        accuracy: Whether classification has the accuracy.

    Raises:
        ValueError: A direction is unknown, a score can't be dropped, or a loss isn't known.
    """
    usual: dict[str, tuple[Score, Direction]] = {}
    if isinstance(loss, Mapping):
        loss = Heads(loss)
        usual |= loss.scores(accuracy=accuracy)
    elif data.task == "classification" and accuracy:
        usual["val_accuracy"] = losses.accuracy, "maximize"
    given = {name: score for name, score in (scores or {}).items() if score is not None}
    dropped = (scores or {}).keys() - given.keys()
    known = {"val_accuracy", *(name for name in usual if name.startswith("val_accuracy"))}
    if unknown := dropped - known:
        raise InputError(
            f"scores: None drops a usual score, and {', '.join(sorted(unknown))} is none of those "
            f"that can be dropped: {', '.join(sorted(known))}"
        )
    kept = {name: score for name, score in usual.items() if name not in dropped} | given
    directions: dict[str, Direction] = {name: direction for name, (_, direction) in kept.items()}
    function = loss_named(loss, data) if isinstance(loss, str) else loss
    return Scoring(
        function or standard_loss(data),
        _name(loss),
        code_hash(function) if function else "",
        {name: function for name, (function, _) in kept.items()},
        check_directions("scores", {"val_loss": "minimize", **directions}),
        {name: code_hash(function) for name, (function, _) in given.items()},
    )


def _name(loss: Loss | str | None) -> str:
    """The name of a loss that was given; empty for the usual one."""
    if loss is None or isinstance(loss, str):
        return loss or ""
    return loss.name if isinstance(loss, Heads) else callable_name(loss)
