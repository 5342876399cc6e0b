"""Checks of arrays: errors for what can't be meant, warnings for what is seldom meant."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    pixels = x is not None and y.ndim > 2 and y.shape[1:] == x.shape[2:]
    if pixels and np.issubdtype(y.dtype, np.integer):
        return "segmentation"
    values = len(np.unique(y))
    if np.issubdtype(y.dtype, np.integer):
        doubtful = y.ndim == 1 and values > max(20, len(y) / 5)
    else:
        whole = values <= 20 and bool((y == np.floor(y)).all())
        doubtful = whole or _is_one_hot(y)
    if doubtful:
        raise InputError(
            f"{name}: {values} different targets of type {y.dtype} and shape {y.shape} may be "
            f"classes or numbers: for classes give {_as_labels(y)}, for numbers task='regression'"
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
        _check_labels(y, classes, name)
    if task == "segmentation":
        _check_masks(x, y, classes, name)


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
    gaps = np.flatnonzero(present != np.arange(len(present)))
    if classes is None and len(gaps):
        raise InputError(
            f"{name}: no example has class {gaps[0]} of 0 to {y.max()}: number the classes "
            "from 0 without gaps (np.unique(y, return_inverse=True)[1] does), or give classes="
        )


def _check_masks(x: NDArray[Any], y: NDArray[Any], classes: int | None, name: str) -> None:
    if not np.issubdtype(y.dtype, np.integer) or x.ndim < 3 or y.shape[1:] != x.shape[2:]:
        one = y.ndim == x.ndim and y.shape[1] == 1
        raise InputError(
            f"{name}: a class for each pixel must be whole numbers of shape (n, height, width) for "
            f"images of shape (n, channels, height, width), got {y.dtype} of shape {y.shape} for "
            f"{x.shape}: give {'y[:, 0]' if one else 'y.astype(int)'}"
            + (", and x[:, None] for images without channels" if x.shape == y.shape else "")
        )
    present = np.unique(y[y >= 0])
    if not len(present):
        raise InputError(
            f"{name}: all targets are negative, so no pixel is counted: give classes from 0"
        )
    hint = (  # of uint8, np.where alone would make 255 of -1
        "; pixels that shall be left out get a negative number (np.where(y == "
        f"{present[-1]}, -1, y.astype(int)))"
    )
    if classes is not None and present[-1] >= classes:
        raise InputError(
            f"{name}: classes must be numbers from 0 to {classes - 1}, got {present[-1]}{hint}"
        )
    gaps = np.flatnonzero(present != np.arange(len(present)))
    if classes is None and len(gaps):
        raise InputError(
            f"{name}: no pixel has class {gaps[0]} of 0 to {present[-1]}: number the classes from "
            f"0 without gaps, or give classes={hint}"
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
    if y.ndim > 2:
        return "y.astype(int), of shape (n, height, width) for a class for each pixel"
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
