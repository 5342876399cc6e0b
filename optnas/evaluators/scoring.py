"""What is computed from a network's outputs: the loss, and the scores with their directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from optnas.datasets import losses
from optnas.datasets.dataset import Dataset, Loaders
from optnas.datasets.losses import (
    UNCOUNTED,
    chance_scores,
    perplexity,
    standard_loss,
    token_cross_entropy,
)
from optnas.errors import InputError
from optnas.evaluators.step import MeanLoss
from optnas.evaluators.training_loss import Loss
from optnas.study.objectives import Direction, check_directions
from optnas.utils.code_hash import callable_name, code_hash


@dataclass(frozen=True)
class OfLoss:
    """A score that is a function of the loss.

    Attributes:
        function: It.
    """

    function: Callable[[float], float]


Score = Callable[[Any, Any], float | Tensor] | OfLoss
Scores = Mapping[str, tuple[Callable[[Any, Any], float | Tensor], Direction] | None]
"""Further scores by name, each a function and its direction; None drops a usual one."""
DROPPABLE = {"perplexity", "val_accuracy"}
"""The usual scores that can be dropped."""


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
        if isinstance(self.scores.get("perplexity"), OfLoss):
            known.add("perplexity")
        return {name: found[name] for name in sorted(known)}


def scoring(
    data: Dataset | Loaders, loss: Loss | None, scores: Scores | None, *, accuracy: bool
) -> Scoring:
    """The loss and the scores for some data.

    Args:
        data: Its task has a usual loss, and usual scores.
        loss: In place of the usual loss.
        scores: Further scores. A usual one whose value is None is dropped.
        accuracy: Whether classification has the accuracy.

    Raises:
        ValueError: A direction is unknown, or a score can't be dropped.
    """
    usual: dict[str, tuple[Score, Direction]] = {}
    if data.task == "classification" and accuracy:
        usual["val_accuracy"] = losses.accuracy, "maximize"
    if data.task == "language" and loss is None:
        usual["perplexity"] = OfLoss(perplexity), "minimize"
    given = {name: score for name, score in (scores or {}).items() if score is not None}
    dropped = (scores or {}).keys() - given.keys()
    if unknown := dropped - usual.keys() - DROPPABLE:
        raise InputError(
            f"scores: None drops a usual score, and {', '.join(sorted(unknown))} is none of those "
            f"that can be dropped: {', '.join(sorted(DROPPABLE))}"
        )
    kept: dict[str, tuple[Score, Direction]] = {
        name: score for name, score in usual.items() if name not in dropped
    }
    kept |= given
    directions: dict[str, Direction] = {name: direction for name, (_, direction) in kept.items()}
    return Scoring(
        loss or standard_loss(data),
        callable_name(loss) if loss else "",
        code_hash(loss) if loss else "",
        {name: function for name, (function, _) in kept.items()},
        check_directions("scores", {"val_loss": "minimize", **directions}),
        {name: code_hash(function) for name, (function, _) in given.items()},
    )


def score_of(score: Score, loss: float, outputs: Any, targets: Any) -> float:
    """The value of a score."""
    return score.function(loss) if isinstance(score, OfLoss) else float(score(outputs, targets))


def of_batch(
    loss: Loss, scores: Mapping[str, Score], outputs: Any, targets: Any
) -> tuple[Any, Any]:
    """What is kept of a batch until all are scored.

    The logits of all tokens would fill the memory where the vocabulary is large. So the batch's
    mean loss stands for them, if nothing else is computed from them.

    Returns:
        Outputs and targets; or a `MeanLoss` and None.
    """
    usual = isinstance(loss, partial) and loss.func is token_cross_entropy
    if not usual or not all(isinstance(score, OfLoss) for score in scores.values()):
        return outputs, targets
    if isinstance(outputs, MeanLoss):  # from a step of the user's
        return outputs, targets
    return MeanLoss(loss(outputs, targets), (targets != UNCOUNTED).sum()), None
