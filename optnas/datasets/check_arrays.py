"""Checks of arrays: errors for what can't be meant, warnings for what is seldom meant."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optnas.datasets.check_masks import are_masks, as_masks, check_masks
from optnas.datasets.dataset import Task
from optnas.errors import InputError

ARRAY_TASKS: tuple[Task, ...] = ("classification", "regression", "segmentation")
COLOURS = (3, 4)
"""Channels of colour images, without and with transparency."""
SMALLEST_SIDE = 8
"""Below this, a dimension is more likely a number of features than the side of an image."""


def guess_task(y: NDArray[Any], name: str, x: NDArray[Any] | None = None) -> Task:
    """The task that the targets' type and shape speak for.

    Args:
        y: The targets.
        name: What the data is called, in errors.
        x: The examples, which may be images with a class for each pixel.

    Raises:
        InputError: They may mean either.
    """
    if y.ndim > 2 and np.issubdtype(y.dtype, np.integer):
        return "segmentation"  # of which `check_masks` tells what doesn't fit
    values = len(np.unique(y))
    if np.issubdtype(y.dtype, np.integer):
        doubtful = y.ndim == 1 and values > max(20, len(y) / 5)
    else:
        whole = values <= 20 and bool((y == np.floor(y)).all())
        doubtful = whole or _is_one_hot(y)
    if doubtful:
        line = _as_labels(y)
        if x is not None and y.ndim > 2:
            line = as_masks(x, y).removeprefix("give ") + ", for a class for each pixel"
        raise InputError(
            f"{name}: {values} different targets of type {y.dtype} and shape {y.shape} may be "
            f"classes or numbers: for classes give {line}, for numbers task='regression'"
        )
    return "classification" if np.issubdtype(y.dtype, np.integer) else "regression"


def check_examples(
    x: NDArray[Any], y: NDArray[Any], task: Task, classes: int | None, name: str
) -> None:
    """Raises InputError unless examples and targets are finite and fit together."""
    if task not in ARRAY_TASKS:
        way = ": optnas.tokens and optnas.text make its data" if task == "language" else ""
        raise InputError(f"task must be one of {', '.join(ARRAY_TASKS)}, got {task!r}{way}")
    if len(x) != len(y) or len(x) == 0:
        raise InputError(f"{name}: {len(x)} examples but {len(y)} targets; give as many of each")
    if not np.isfinite(x).all() or not np.isfinite(y).all():
        raise InputError(f"{name}: there are NaN or infinite values; remove or fill them first")
    if task == "classification":
        if y.ndim > 2 and are_masks(x, y):
            raise InputError(
                f"{name}: targets of shape {y.shape} are a class for each pixel: give "
                "task='segmentation', or leave task out"
            )
        _check_labels(y, classes, name)
    if task == "segmentation":
        check_masks(x, y, classes, name)


def _check_labels(y: NDArray[Any], classes: int | None, name: str) -> None:
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
        raise InputError(
            f"{name}: class labels must be whole numbers of shape (n,), got {y.dtype} of "
            f"shape {y.shape}: give {_as_labels(y)}"
        )
    highest = "" if classes is None else f" to {classes - 1}"
    if y.min() < 0 or (classes is not None and y.max() >= classes):
        raise InputError(
            f"{name}: class labels must be numbers from 0{highest}, got {y.min()} to {y.max()}"
        )
    present = np.unique(y)
    if len(present) == 1 and (classes is None or classes < 2):
        raise InputError(
            f"{name}: all examples have class {present[0]}: two classes are needed (classes= says "
            "how many there are if these examples lack some)"
        )
    gaps = np.flatnonzero(present != np.arange(len(present)))
    if classes is None and len(gaps):
        raise InputError(
            f"{name}: no example has class {gaps[0]} of 0 to {y.max()}: number the classes "
            "from 0 without gaps (np.unique(y, return_inverse=True)[1] does), or give classes="
        )


def _as_labels(y: NDArray[Any]) -> str:
    """The line that makes class labels of such targets."""
    if y.ndim == 1:
        whole = np.issubdtype(y.dtype, np.integer)
        return "task='classification'" if whole else "y.astype(int)"
    if y.ndim == 2 and y.shape[1] == 1:
        return "y[:, 0].astype(int)"
    if _is_one_hot(y):
        return "y.argmax(1)"
    return "one whole number an example (y.argmax(1), if each row is a class one-hot)"


def _is_one_hot(y: NDArray[Any]) -> bool:
    """Whether each row is a class one-hot, or shares of classes (smoothed or mixed labels)."""
    if y.ndim != 2 or y.shape[1] < 2:
        return False
    return bool((y >= 0).all()) and np.allclose(y.sum(1), 1, atol=1e-4)


def check_shape(x: NDArray[Any], normalize: bool, name: str, stacklevel: int) -> None:
    """Looks for examples whose dimensions are in another order than networks expect.

    Args:
        x: Examples, shape `(n, ...)`.
        normalize: Whether they will be normalised; if not, whole numbers are tokens.
        name: What the data is called.
        stacklevel: Of a warning: 1 is the caller of this function.

    Raises:
        InputError: They can only be channels-last images.
    """
    shape = x.shape[1:]
    tokens = not normalize and np.issubdtype(x.dtype, np.integer)
    doubt = ""
    if len(shape) == 3 and _looks_channels_last(shape):
        height, width, channels = shape
        line = "x.transpose(0, 3, 1, 2)"
        if channels in COLOURS and (height == width or x.dtype == np.uint8):
            raise InputError(
                f"{name}: examples of shape {shape} look like images with their channels last, "
                f"and networks take {(channels, height, width)}: give {line} (if they do have "
                f"{height} channels, optnas.Dataset takes tensors as they are)"
            )
        doubt = (
            f"are taken for images of {height} channels: if the {channels} is the number of "
            f"channels, give {line}"
        )
    elif len(shape) == 2 and shape[0] == shape[1] >= SMALLEST_SIDE and not tokens:
        doubt = (
            f"are taken for sequences of {shape[0]} channels or steps: if they are images without "
            "a dimension for channels, give x[:, None]"
        )
    elif not shape and not tokens:
        doubt = (
            "are single numbers: most layers need a dimension for features, which x[:, None] adds"
        )
    if doubt:
        warnings.warn(
            f"{name}: examples of shape {shape} {doubt}", UserWarning, stacklevel=stacklevel + 1
        )


def _looks_channels_last(shape: tuple[int, ...]) -> bool:
    return shape[2] in (1, *COLOURS) and min(shape[:2]) >= SMALLEST_SIDE
