"""Checks of masks, a class for each pixel, and the line that makes them of what was given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from optnas.errors import InputError


def are_masks(x: NDArray[Any], y: NDArray[Any]) -> bool:
    """Whether there is a target for each pixel of the images."""
    return y.ndim > 2 and y.shape[1:] == x.shape[2:]


def check_masks(x: NDArray[Any], y: NDArray[Any], classes: int | None, name: str) -> None:
    """Raises InputError unless there is a class for each pixel, and a second class.

    Args:
        x: Images.
        y: Their targets.
        classes: The number of classes; None if the targets tell it.
        name: What the data is called.
    """
    if not np.issubdtype(y.dtype, np.integer) or not are_masks(x, y):
        raise InputError(
            f"{name}: a class for each pixel must be whole numbers of shape (n, height, width) for "
            f"images of shape (n, channels, height, width), got {y.dtype} of shape {y.shape} for "
            f"{x.shape}: {as_masks(x, y)}"
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
    if len(present) == 1 and (classes is None or classes < 2):
        raise InputError(
            f"{name}: all pixels that are counted have class {present[0]}: two classes are needed "
            "(classes= says how many there are if these examples lack some)"
        )
    gaps = np.flatnonzero(present != np.arange(len(present)))
    if classes is None and len(gaps):
        raise InputError(
            f"{name}: no pixel has class {gaps[0]} of 0 to {present[-1]}: number the classes from "
            f"0 without gaps, or give classes={hint if gaps[0] else ''}"
        )


def as_masks(x: NDArray[Any], y: NDArray[Any]) -> str:
    """What is to be done so that targets are masks of the images."""
    whole = "" if np.issubdtype(y.dtype, np.integer) else ".astype(int)"
    pixels = x.shape[2:]
    if are_masks(x, y):
        return f"give y{whole}"
    if x.ndim == y.ndim == 4 and y.shape[2:] == pixels:
        if y.shape[1] == 1:
            return f"give y[:, 0]{whole}"
        return "give y.argmax(1)" if _is_one_hot(y, 1) else "give one class a pixel"
    if x.ndim == y.ndim == 4 and y.shape[1:3] == pixels:
        if y.shape[3] == 1:
            return f"give y[..., 0]{whole}"
        return "give y.argmax(-1)" if _is_one_hot(y, -1) else "give one class a pixel, no colours"
    given = f"y{whole} and " if whole else ""
    if x.shape == y.shape and x.ndim == 3:
        return f"give {given}x[:, None], because the images have no dimension for channels"
    if x.ndim == 4 and y.ndim == 3 and y.shape[1:] == x.shape[1:3]:
        return f"give {given}x.transpose(0, 3, 1, 2), because the images have channels last"
    if x.ndim == 4 and y.ndim == 3:
        height, width = y.shape[1:]
        text = f"images have {pixels[0]} × {pixels[1]} pixels, and their targets {height} × {width}"
        if (width, height) == pixels:
            return f"{text}: give y.transpose(0, 2, 1){whole}"
        return f"{text}: give both one size (targets by their nearest pixel)"
    return "give both in these shapes"


def _is_one_hot(y: NDArray[Any], axis: int) -> bool:
    """Whether each pixel has a class one-hot along a dimension, or shares of classes."""
    return bool((y >= 0).all()) and np.allclose(y.sum(axis), 1, atol=1e-4)
