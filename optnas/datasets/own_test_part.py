"""Image data that come with a test part of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from optnas.datasets.check_arrays import check_examples
from optnas.datasets.dataset import Dataset
from optnas.datasets.normalize import Moments, normalized_dataset
from optnas.datasets.split import split

Examples = tuple[NDArray[Any], NDArray[Any]]


def with_own_test_part(
    training: Examples,
    test: Examples,
    *,
    classes: int,
    val: float | int,
    seed: int,
    moments: Moments,
    name: str,
    train: int | None = None,
) -> Dataset:
    """Splits a validation part off the training examples, and normalises all.

    Args:
        training: Images `(n, channels, height, width)` and their classes.
        test: The same of the test part.
        classes: Number of classes.
        val: Share or number of the training examples in the validation part.
        seed: Seeds the split.
        moments: Computes the mean and the standard deviation.
        name: What the data is called.
        train: Number of training examples; None takes all that aren't in the validation part.

    Raises:
        InputError: A class is out of range, or a part would be empty.
    """
    for x, y in (training, test):
        check_examples(x, y, "classification", classes, name)
    x, y = training
    rest, val_index = split(np.arange(len(x)), y, "classification", val, seed, "val", name)
    if train is not None and train != len(rest):
        _, rest = split(rest, y, "classification", train, seed, "train", name)
    parts = [(x[rest], y[rest]), (x[val_index], y[val_index]), test]
    return normalized_dataset(parts, "classification", classes, True, name, moments)
