"""What is computed from a network's outputs: the loss, and the scores with their directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from optnas.datasets import losses
from optnas.datasets.dataset import Dataset, Loaders
from optnas.datasets.losses import chance_scores, loss_named, losses_by_name
from optnas.datasets.next_token import perplexity
from optnas.datasets.pixels import MeanIoU, PixelAccuracy
from optnas.errors import InputError
from optnas.evaluators.heads import HeadLoss, Heads
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


@dataclass(frozen=True)
class Scoring:
    """The loss and the scores of an evaluator.

    Attributes:
        loss: `loss(outputs, targets)`, a tensor of one element.
        loss_name: The name of a loss that isn't the usual one of the task; else empty.
        loss_code: A hash of the code of the user's own loss; else empty.
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
        loss = f"{self.loss_name} {self.loss_code}".strip() or "standard"
        return {"loss": loss, "scores": ", ".join(scores)}

    def chance(self, data: Dataset) -> Mapping[str, float]:
        """The scores of a constant prediction: of the standard loss and of the usual scores."""
        known = {*self.scores} - {*self.codes}
        if not self.loss_name:
            known.add("val_loss")
        if not known:  # the targets may have a form for the user's loss alone
            return {}
        return {name: score for name, score in sorted(chance_scores(data).items()) if name in known}


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
        accuracy: Whether tasks with classes have their usual scores.

    Raises:
        ValueError: A direction is unknown, a score can't be dropped, or a loss isn't known.
    """
    function, name, code = _loss(data, loss)
    usual = _usual_scores(data, function, accuracy=accuracy, own_loss=bool(name))
    given = {name: score for name, score in (scores or {}).items() if score is not None}
    dropped = (scores or {}).keys() - given.keys()
    known = {"val_accuracy", *(name for name in usual if not name.startswith("val_loss"))}
    if unknown := dropped - known:
        raise InputError(
            f"scores: None drops a usual score, and {', '.join(sorted(unknown))} is none of those "
            f"that can be dropped: {', '.join(sorted(known))}"
        )
    kept: dict[str, tuple[Score, Direction]] = {
        name: score for name, score in usual.items() if name not in dropped
    }
    kept |= given
    directions: dict[str, Direction] = {name: direction for name, (_, direction) in kept.items()}
    return Scoring(
        function,
        name,
        code,
        {name: score for name, (score, _) in kept.items()},
        check_directions("scores", {"val_loss": "minimize", **directions}),
        {name: code_hash(score) for name, (score, _) in given.items()},
    )


def _loss(
    data: Dataset | Loaders, loss: Loss | str | Mapping[str, HeadLoss] | None
) -> tuple[Loss, str, str]:
    """The loss, its name and a hash of its code (see `Scoring`)."""
    if isinstance(loss, Mapping):
        heads = Heads(loss)
        return heads, heads.name, code_hash(heads)
    if loss is not None and not isinstance(loss, str):
        return loss, callable_name(loss), code_hash(loss)
    named = losses_by_name(data)
    usual = next(iter(named))
    function = named[usual] if loss is None else loss_named(loss, data)
    return function, "" if loss in (None, usual) else str(loss), ""


def _usual_scores(
    data: Dataset | Loaders, loss: Loss, *, accuracy: bool, own_loss: bool
) -> dict[str, tuple[Score, Direction]]:
    """The scores that the task has, or that the heads have."""
    if isinstance(loss, Heads):
        return {**loss.scores(accuracy=accuracy)}
    if data.task == "language" and not own_loss:
        return {"perplexity": (OfLoss(perplexity), "minimize")}
    if data.task == "classification" and accuracy:
        return {"val_accuracy": (losses.accuracy, "maximize")}
    if data.task == "segmentation" and accuracy:
        return {
            "val_accuracy": (PixelAccuracy(), "maximize"),
            "val_mean_iou": (MeanIoU(), "maximize"),
        }
    return {}
