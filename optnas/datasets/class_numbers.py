"""Targets that are class numbers: which of them are counted, and whether they are in range."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from optnas.errors import InputError

UNCOUNTED = -100
"""The target of an example that isn't counted, as in PyTorch's losses."""


def is_counted(targets: Tensor) -> Tensor:
    """Which targets are counted: of one for each pixel or token, those that aren't negative."""
    return targets >= 0 if targets.ndim > 1 else targets != UNCOUNTED


def summed_cross_entropy(
    logits: Tensor, targets: Tensor, label_smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """The sum of the cross-entropies, in nats, and the number of targets that are counted.

    Args:
        logits: Shape `(n, classes)`, and the further dimensions.
        targets: Class numbers, shape `(n,)`, and the further dimensions.
        label_smoothing: Share of the target that all outputs share equally.

    Raises:
        InputError: A target is out of range.
    """
    targets = targets.long()
    counted = is_counted(targets)
    check_in_range(targets, logits.shape[1])
    total = functional.cross_entropy(
        logits,
        targets.where(counted, UNCOUNTED),
        ignore_index=UNCOUNTED,
        reduction="sum",
        label_smoothing=label_smoothing,
    )
    return total, counted.sum()


def check_in_range(targets: Tensor, outputs: int) -> None:
    """Raises InputError if the network has no output for a target.

    Only on the CPU: a GPU would wait for the answer at each batch.
    """
    if targets.device.type != "cpu" or not targets.numel():
        return
    highest = int(targets.max())
    if highest >= outputs:
        raise InputError(
            f"a target is class {highest}, and the model has {outputs} outputs, for classes 0 to "
            f"{outputs - 1}: number the classes from 0, or give its last layer more outputs"
            + _left_out(targets, highest)
        )
    _check_negative(targets, "a target")


def check_class_numbers(name: str, parts: Mapping[str, Tensor], classes: int) -> None:
    """Checks the targets of a dataset before the first network is trained.

    Args:
        name: What the data is called.
        parts: Whole numbers, by the name of the part.
        classes: The number of outputs.

    Raises:
        InputError: A class is too large, a class is negative, or a part has none that is counted.
    """
    for part, targets in parts.items():
        if not targets.numel():
            continue
        highest = int(targets.max())
        if highest >= classes:
            raise InputError(
                f"{name}: a target of the part {part} is class {highest}, and there are {classes} "
                f"classes, 0 to {classes - 1}: number the classes from 0, or give outputs="
                f"{highest + 1}" + _left_out(targets, highest)
            )
        _check_negative(targets, f"{name}: a target of the part {part}")
        if highest < 0:
            raise InputError(
                f"{name}: all targets of the part {part} are negative, so none is counted: give "
                "the part examples that have a class, by another seed= or other shares (val=, "
                "test=)"
            )


def _left_out(targets: Tensor, highest: int) -> str:
    """How pixels of a class are left out; empty if there is no class for each pixel.

    In uint8, -1 would be 255 again.
    """
    if targets.ndim <= 2:
        return ""
    return f" (pixels that shall be left out: y.long().where(y != {highest}, -1))"


def _check_negative(targets: Tensor, what: str) -> None:
    """Raises InputError if the class of a whole example is negative."""
    if targets.ndim > 1:
        return
    negative = targets[(targets < 0) & (targets != UNCOUNTED)]
    if negative.numel():
        raise InputError(
            f"{what} is class {int(negative[0])}: number the classes from 0; examples that shall "
            f"not be counted get the number {UNCOUNTED}"
        )


def shares_of_classes(targets: Tensor, classes: int) -> Tensor:
    """The share of each class among the targets that are counted, of shape `(classes,)`.

    One more is counted in each class, so that no share is 0 and no loss infinite.
    """
    numbers = torch.bincount(targets[is_counted(targets)].long(), minlength=classes).double() + 1
    return numbers / numbers.sum()
