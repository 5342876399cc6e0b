"""Losses and scores of a network with several heads, one for each task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from optnas.datasets import losses
from optnas.errors import InputError
from optnas.study.objectives import Direction
from optnas.utils.code_hash import callable_name
from optnas.utils.inputs import described

HeadLoss = str | Callable[[Any, Any], Tensor]
"""The loss of a head: a name of `losses.LOSSES`, or a function of its outputs and targets."""


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
        names = list(self.losses)
        return self._functions[name](
            _part(name, names, outputs, "the model returns"),
            _part(name, names, targets, "the targets are"),
        )

    def weighted(self, weights: Mapping[str, float]) -> Heads:
        """The same heads with other weights."""
        return Heads(self.losses, weights)

    def scores(self, *, accuracy: bool) -> dict[str, tuple[Callable[..., Any], Direction]]:
        """`val_loss.NAME` of each head, and `val_accuracy.NAME` of those with cross-entropy.

        Args:
            accuracy: Whether there are accuracies.
        """
        found: dict[str, tuple[Callable[..., Any], Direction]] = {}
        for name, loss in self.losses.items():
            found[f"val_loss.{name}"] = partial(self.of, name), "minimize"
            if accuracy and loss == "cross_entropy":
                found[f"val_accuracy.{name}"] = partial(self._accuracy, name), "maximize"
        return found

    def _accuracy(self, name: str, outputs: Any, targets: Any) -> Tensor:
        names = list(self.losses)
        return losses.accuracy(
            _part(name, names, outputs, "the model returns"),
            _part(name, names, targets, "the targets are"),
        )


def _function(head: str, loss: object) -> Callable[[Any, Any], Tensor]:
    if callable(loss):
        return loss
    if isinstance(loss, str) and loss in losses.LOSSES:
        found: Callable[..., Tensor] = losses.LOSSES[loss]
        return partial(found, classes=2) if loss == "cross_entropy" else found
    raise InputError(
        f"the loss of the head {head!r} must be one of {', '.join(losses.LOSSES)}, or a function "
        f"of its outputs and targets, got {loss!r}"
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
