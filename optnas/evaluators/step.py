"""What a network makes of a batch: outputs and targets, or the loss itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import torch
from torch import Tensor

from optnas.errors import InputError
from optnas.utils.code_hash import callable_name, code_hash
from optnas.utils.inputs import call, described
from optnas.utils.trees import rows_of

Step = Callable[[Any, Any], Any]
"""`step(model, batch)`: runs a network on a batch, and returns outputs and targets."""


class MeanLoss(NamedTuple):
    """A loss that a step computed itself, in place of outputs.

    Attributes:
        value: The mean over the batch's examples, a tensor of one element.
        examples: Their number, if the step names it.
    """

    value: Tensor
    examples: int | Tensor | None = None


def step_of_pairs(model: Callable[..., Any], batch: Any) -> tuple[Any, Any]:
    """Runs a network on a pair of inputs and targets."""
    inputs, targets = batch
    return call(model, inputs), targets


class OwnStep:
    """A step of the user's, whose result is checked.

    Args:
        function: `step(model, batch)`. It returns a pair of outputs and targets, of any form; or
            the loss alone, a tensor of one element; or a pair of it and the number of examples that
            it is the mean of.
    """

    def __init__(self, function: Step) -> None:
        self._function = function
        self._code = code_hash(function)

    def __call__(self, model: Callable[..., Any], batch: Any) -> tuple[Any, Any]:
        """Runs a network on a batch.

        Returns:
            Outputs and targets; or a `MeanLoss` and None.

        Raises:
            InputError: The step returns something else.
        """
        given = self._function(model, batch)
        if _is_number(given):
            return MeanLoss(given), None
        if isinstance(given, (tuple, list)) and len(given) == 2:
            first, second = given
            if _is_count(second) and _is_number(first):
                return MeanLoss(first, second), None
            if _is_number(second) and not second.ndim:
                raise InputError(
                    "step(model, batch) must return (outputs, targets), and in place of targets "
                    "there is a number: if it is the loss, return that alone (`return loss`)"
                )
            return first, second
        raise InputError(
            f"step(model, batch) must return (outputs, targets), or the loss alone as a tensor of "
            f"one element, got {described(given)}: "
            + (
                "take the mean over the batch, or return the outputs and their targets"
                if isinstance(given, Tensor)
                else "write `return model(batch[0]), batch[1]`, say, or `return outputs.loss`"
            )
        )

    @property
    def fingerprint(self) -> str:
        """Its name, and a hash of its code."""
        return f"{callable_name(self._function)} {self._code}"


def counted(loss: MeanLoss, batch: Any) -> MeanLoss:
    """A loss with the number of its examples: as the step names it, else the batch's rows.

    Raises:
        InputError: The batch's tensors have different lengths, or none is seen.
    """
    examples = rows_of(batch) if loss.examples is None else loss.examples
    if examples is None:
        raise InputError(
            f"step returns a loss alone, and the batch ({described(batch)}) doesn't show how many "
            "examples it is the mean of, because its tensors don't all have one length: return "
            "that number too, `return loss, batch.num_graphs` or `return loss, len(targets)`, say"
        )
    return MeanLoss(loss.value, examples)


def mean_loss(losses: Sequence[MeanLoss]) -> float:
    """The mean over the examples of several batches."""
    values = torch.stack([loss.value.detach().reshape(()) for loss in losses]).cpu().double()
    examples = torch.tensor([float(loss.examples or 0) for loss in losses], dtype=torch.float64)
    return float((values * examples).sum() / examples.sum())


def _is_count(value: object) -> bool:
    if isinstance(value, Tensor):
        return not (value.ndim or value.is_floating_point())
    return isinstance(value, Integral)


def _is_number(value: object) -> bool:
    return isinstance(value, Tensor) and value.numel() == 1 and value.is_floating_point()
