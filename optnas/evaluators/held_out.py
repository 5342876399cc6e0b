"""The scores of a network on the held-out part, from its outputs batch by batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from optnas.datasets.losses import accuracy
from optnas.datasets.summed import Summed
from optnas.errors import InputError
from optnas.evaluators.evaluation import finite
from optnas.evaluators.outputs import in_float32, joined
from optnas.evaluators.scoring import OfLoss, Score
from optnas.evaluators.step import MeanLoss, counted, mean_loss
from optnas.evaluators.training_loss import Loss
from optnas.utils.checks import as_number
from optnas.utils.trees import rows_of


class HeldOut:
    """What is kept of the batches until the scores are computed from all of them at once.

    Where the loss and all scores are functions of sums over the batches, only the sums are kept.
    Otherwise all outputs are: functions of the user's take them at once.

    Args:
        loss: `loss(outputs, targets)`, a tensor of one element.
        scores: Further functions of them, by name.
    """

    def __init__(self, loss: Loss, scores: Mapping[str, Score]) -> None:
        self._loss = loss
        self._scores = scores
        functions = [loss, *(one for one in scores.values() if not isinstance(one, OfLoss))]
        self._summed = [one for one in functions if isinstance(one, Summed)]
        self._at_once = len(self._summed) < len(functions)
        self._batches: list[tuple[Any, Any]] = []
        self._sums: list[Tensor] = []

    def add(self, outputs: Any, targets: Any, batch: Any) -> None:
        """Takes what a network, or the user's step, made of a batch."""
        if isinstance(outputs, MeanLoss):
            self._batches.append((counted(outputs, batch), targets))
            return
        outputs = in_float32(outputs)
        if self._at_once:
            self._batches.append((outputs, targets))
            return
        # In double precision on the CPU: the sum of many pixels' losses has more digits than
        # float32 holds, and some devices have nothing larger.
        sums = [one.sums(outputs, targets).cpu().double() for one in self._summed]
        if self._sums:
            sums = [old + new for old, new in zip(self._sums, sums, strict=True)]
        self._sums = sums

    def scores(self, loss_name: str) -> dict[str, float]:
        """The scores of all batches.

        Args:
            loss_name: The name of the loss among them.

        Raises:
            CandidateError: The loss is NaN or infinite.
            InputError: There was no batch.
        """
        if self._sums:
            values = iter([one.of(s) for one, s in zip(self._summed, self._sums, strict=True)])
            loss = finite(f"diverged: {loss_name}", next(values))
            return {loss_name: loss} | {
                name: _checked(
                    name, score, score.function(loss) if isinstance(score, OfLoss) else next(values)
                )
                for name, score in self._scores.items()
            }
        if not self._batches:
            raise InputError(
                "the loader of the held-out part gave no batch: its dataset is empty, or exhausted "
                "after one pass; let its `__iter__` begin anew each time"
            )
        outputs, targets = zip(*self._batches, strict=True)
        if all(isinstance(one, MeanLoss) for one in outputs):
            mean = mean_loss(outputs)
        else:
            rows = [rows_of(y) or rows_of(out) or 1 for out, y in self._batches]
            outputs, targets = joined(outputs, rows), joined(targets, rows)
            mean = float(self._loss(outputs, targets))
        loss = finite(f"diverged: {loss_name}", mean)
        return {loss_name: loss} | {
            name: _checked(
                name,
                score,
                score.function(loss) if isinstance(score, OfLoss) else score(outputs, targets),
            )
            for name, score in self._scores.items()
        }


def _checked(name: str, score: Score, given: object) -> float:
    """The value of a score, where the loss is a number.

    Raises:
        InputError: It is no number, or one of the usual scores of nothing.
    """
    value = as_number(name, given)
    if math.isnan(value) and (score is accuracy or isinstance(score, Summed)):
        raise InputError(
            f"{name} is no number, because no target of the held-out part is counted (all are "
            "negative): give it examples that have a class"
        )
    return value
