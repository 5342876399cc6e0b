"""Random, stratified splits of a data set."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optnas.datasets.dataset import Task
from optnas.errors import InputError
from optnas.utils.text import listed

log = logging.getLogger("optnas")


def split(
    index: NDArray[Any],
    y: NDArray[Any],
    task: Task,
    size: float | int,
    seed: int,
    part: str,
    name: str,
    of: int | None = None,
    names: Sequence[str] = (),
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Splits examples in two at random; both parts keep the classes' shares.

    Args:
        index: Numbers of the examples to split, shape `(n,)`.
        y: Targets of all examples; `index` selects from them.
        task: For `classification` the split is stratified by class.
        size: Size of the second part: a number of examples, or a share of `of`.
        seed: Seeds the split.
        part: What the second part is called in an error.
        name: What the data is called in an error.
        of: The number that a share refers to; `n` by default.
        names: The names of the classes by number, if they have some.

    Returns:
        The numbers in both parts, each in ascending order.

    Raises:
        InputError: A part would be empty, or a class has too few examples.
    """
    from sklearn.model_selection import train_test_split

    check_size(size, part, name)
    try:
        whole = isinstance(size, (int, np.integer))
        number = int(size) if whole else round(size * (of or len(index)))
    except (TypeError, ValueError, OverflowError):
        number = 0
    if not 0 < number < len(index):
        raise InputError(
            f"{name}: {part}={size} asks for {number} of {len(index)} examples; give a share "
            f"between 0 and 1, or a number from 1 to {len(index) - 1}"
        )
    stratify = y[index] if task == "classification" else None
    try:
        first, second = train_test_split(
            index, test_size=number, random_state=seed, stratify=stratify
        )
    except ValueError as error:  # a class with one example, or fewer places than classes
        raise InputError(
            f"{name}: can't split off {part}={size} by class: {_why(y[index], names) or error}"
            + ("" if names else " (if these are no classes, give task='regression')")
        ) from error
    if task == "classification":
        lacks = np.setdiff1d(y[index], y[second])
        if len(lacks):
            log.warning(
                "%s: the part %s has no example of %s, so no score there is of %s: give more "
                "examples of %s, or a larger %s=",
                name,
                part,
                f"{'class' if len(lacks) == 1 else 'the classes'} {_listed(lacks, names)}",
                *["it" if len(lacks) == 1 else "them"] * 2,
                part,
            )
    return np.sort(first), np.sort(second)


def check_size(size: object, part: str, name: str) -> None:
    """Raises InputError unless the size of a part is a number."""
    if not isinstance(size, Real) or isinstance(size, bool):
        raise InputError(
            f"{name}: {part} must be a share between 0 and 1, or a number of examples, got "
            f"{size!r}" + (", which is text" if isinstance(size, str) else "")
        )


def _why(y: NDArray[Any], names: Sequence[str]) -> str:
    """Which classes have a single example; empty if none has."""
    classes, counts = np.unique(y, return_counts=True)
    rare = classes[counts == 1]
    if not len(rare):
        return ""
    one = len(rare) == 1
    return (
        f"{'class' if one else 'the classes'} {_listed(rare, names)} {'has' if one else 'have'} a "
        "single example, and two parts need two: give more of them, join it with another class, or "
        "leave it out"
    )


def _listed(classes: NDArray[Any], names: Sequence[str]) -> str:
    return listed([names[c] if names else str(c) for c in classes])
