"""Checks of what a `Dataset` or `Loaders` are made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from optnas.errors import InputError
from optnas.utils.inputs import Inputs, described, in_order
from optnas.utils.text import did_you_mean


def check_task(task: object, name: object, tasks: Collection[str]) -> None:
    """Raises InputError unless the task is one of `tasks`, and the name isn't the task."""
    if task in tasks:
        return
    way = did_you_mean(task, tasks)
    if name in tasks:
        way = f" and the name {name!r}: they are the other way round"
    raise InputError(f"task must be one of {', '.join(tasks)}, got {task!r}{way}")


def checked_part(name: str, part: str, given: Any, task: str) -> tuple[Inputs, Tensor]:
    """A part of a dataset, with class numbers of whole examples as int64.

    Args:
        name: What the data is called.
        part: What the part is called.
        given: Examples and targets.
        task: What the targets are.

    Raises:
        InputError: It is no pair of tensors, or their lengths differ.
    """
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise InputError(
            f"{name}: the part {part} must be a pair of examples and targets, (x, y), got "
            f"{described(given)}"
        )
    x, y = given
    _check_tensors(name, part, x, y)
    if any(len(tensor) != len(y) for tensor in in_order(x)):
        lengths = ", ".join(str(len(tensor)) for tensor in in_order(x))
        raise InputError(
            f"{name}: the inputs of the part {part} have {lengths} examples, and "
            f"there are {len(y)} targets: give as many of each"
        )
    # PyTorch's losses take no others. Masks stay small: each batch of them is converted.
    narrow = task == "classification" and y.ndim == 1 and is_whole(y)
    return x, y.long() if narrow else y


def is_whole(targets: Tensor) -> bool:
    """Whether targets are of a type of whole numbers, or of booleans."""
    return not targets.is_floating_point() and not targets.is_complex()


def _check_tensors(name: str, part: str, x: Any, y: Any) -> None:
    """Raises InputError unless examples are tensors in one of their forms, and targets one."""
    if isinstance(x, Mapping):
        named = [(f"x[{key!r}]", value) for key, value in x.items()]
    elif isinstance(x, (tuple, list)):
        named = [(f"x[{at}]", value) for at, value in enumerate(x)]
    else:
        named = [("x", x)]
    if not named:
        raise InputError(f"{name}: the examples of the part {part} are {described(x)}")
    for what, value in (*named, ("y", y)):
        if isinstance(value, Tensor) and value.ndim:
            continue
        if isinstance(x, list) and not isinstance(value, (Tensor, np.ndarray)) and what != "y":
            what, value = "x", x  # a list of examples
        line = "torch.from_numpy" if isinstance(value, np.ndarray) else "torch.tensor"
        raise InputError(
            f"{name}: {what} of the part {part} is {described(value)}, and networks take tensors "
            f"whose first dimension counts the examples: give {line}({what})"
            + (", or let optnas.arrays(x, y) split arrays" if line.endswith("numpy") else "")
        )
