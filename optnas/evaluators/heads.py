"""Losses and scores of a network with several heads, one for each task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from optnas.datasets import losses
from optnas.datasets.pixels import PIXEL_LOSSES, MeanIoU
from optnas.errors import InputError
from optnas.study.objectives import Direction
from optnas.utils.code_hash import callable_name
from optnas.utils.inputs import described

HeadLoss = str | Callable[[Any, Any], Tensor]
"""The loss of a head: a name of `NAMED`, or a function of its outputs and targets."""

NAMED: dict[str, Callable[..., Tensor]] = {
    **{name: loss(classes=2) for name, loss in PIXEL_LOSSES.items()},
    **losses.LOSSES,
    "cross_entropy": partial(losses.cross_entropy, classes=2),
}
"""The losses that a head has by name; cross-entropy takes a class an example, or a pixel."""


class Heads:
    """The sum of the losses of several heads.

    Args:
        losses: The loss of each head, by its name.
        weights: The weight of each head's loss in the sum; 1 where none is given.

    Raises:
        InputError: There are no heads, or a loss is neither a known name nor a function.
    """

    def __init__(
        self, losses: Mapping[str, HeadLoss], weights: Mapping[str, float] | None = None
    ) -> None:
        if not losses:
            raise InputError("loss is an empty dictionary: give it the loss of each head, by name")
        self.losses = dict(losses)
        self._weights = dict(weights or {})
        self._functions = {name: _function(name, loss) for name, loss in self.losses.items()}

    @property
    def name(self) -> str:
        """What the loss is called in recipes and fingerprints."""
        named = {n: o if isinstance(o, str) else callable_name(o) for n, o in self.losses.items()}
        return " + ".join(f"{name}: {loss}" for name, loss in named.items())

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        """The weighted sum.

        Raises:
            InputError: There are no outputs or no targets for a head.
        """
        parts = [self._weights.get(n, 1.0) * self.of(n, outputs, targets) for n in self.losses]
        return sum(parts[1:], parts[0])

    def of(self, name: str, outputs: Any, targets: Any) -> Tensor:
        """The loss of one head."""
        return self._of(self._functions[name], name, outputs, targets)

    def weighted(self, weights: Mapping[str, float]) -> Heads:
        """The same heads with other weights."""
        return Heads(self.losses, weights)

    def scores(self, *, accuracy: bool) -> dict[str, tuple[Callable[..., Any], Direction]]:
        """`val_loss.NAME` of each head, and the usual scores of those with classes.

        They are `val_accuracy.NAME`, and `val_mean_iou.NAME` where the loss is one of pixels alone.

        Args:
            accuracy: Whether there are such scores.
        """
        found: dict[str, tuple[Callable[..., Any], Direction]] = {}
        for name, loss in self.losses.items():
            found[f"val_loss.{name}"] = partial(self.of, name), "minimize"
            if accuracy and (loss == "cross_entropy" or loss in PIXEL_LOSSES):
                right = partial(self._of, losses.accuracy, name)
                found[f"val_accuracy.{name}"] = right, "maximize"
            if accuracy and loss in PIXEL_LOSSES and loss != "cross_entropy":
                overlap = partial(self._of, MeanIoU(), name)
                found[f"val_mean_iou.{name}"] = overlap, "maximize"
        return found

    def _of(self, score: Callable[..., Tensor], name: str, outputs: Any, targets: Any) -> Tensor:
        names = list(self.losses)
        return score(
            _part(name, names, outputs, "the model returns"),
            _part(name, names, targets, "the targets are"),
        )


def _function(head: str, loss: object) -> Callable[[Any, Any], Tensor]:
    if callable(loss):
        return loss
    if isinstance(loss, str) and loss in NAMED:
        return NAMED[loss]
    raise InputError(
        f"the loss of the head {head!r} must be one of {', '.join(NAMED)}, or a function of its "
        f"outputs and targets, got {loss!r}"
    )


def _part(name: str, names: Sequence[str], given: Any, what: str) -> Any:
    """The part of outputs or targets that belongs to a head: by name, or by its number."""
    if isinstance(given, Mapping) and name in given:
        return given[name]
    if isinstance(given, (tuple, list)) and len(given) == len(names):
        return given[names.index(name)]
    raise InputError(
        f"{what} {described(given)}, and there are losses for the heads {', '.join(names)}: give a "
        "dictionary with these names, or a tuple in this order"
    )
