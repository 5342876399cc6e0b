"""Random, stratified splits of a data set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from optnas.datasets.dataset import Task
from optnas.errors import InputError


def split(
    index: NDArray[Any],
    y: NDArray[Any],
    task: Task,
    size: float | int,
    seed: int,
    part: str,
    name: str,
    of: int | None = None,
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

    Returns:
        The numbers in both parts, each in ascending order.

    Raises:
        InputError: A part would be empty, or a class has too few examples.
    """
    from sklearn.model_selection import train_test_split

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
            f"{name}: can't split off {part}={size} by class: {error} (if these are no classes, "
            "give task='regression')"
        ) from error
    return np.sort(first), np.sort(second)
