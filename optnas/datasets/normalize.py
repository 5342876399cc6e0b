"""Normalisation: arrays become tensors of mean 0 and standard deviation 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from optnas.datasets.dataset import Dataset, Part, Task
from optnas.errors import InputError

Moments = Callable[[NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]]
AT_ONCE = 1024
"""Examples that are converted together: double precision would take eight times the memory."""


def channel_moments(x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and standard deviation, for each index of the second dimension: channel or feature.

    The standard deviation of a constant is given as 1, so that dividing by it is safe.
    """
    axes = (0, *range(2, x.ndim)) if x.ndim > 2 else (0,)
    with np.errstate(over="ignore", invalid="ignore"):  # `scaled` refuses such numbers
        mean = x.mean(axes, keepdims=True, dtype=np.float64)
        std = x.std(axes, keepdims=True, dtype=np.float64)
    # Of a constant such as 0.1 the computed one is a rounding error, not 0.
    varies = x.max(axes, keepdims=True) > x.min(axes, keepdims=True)
    return mean, np.where(varies & (std > 0), std, 1.0)


def byte_moments(x: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The same of images of bytes `(n, channels, height, width)`, with little memory, and exact."""
    channels = x.shape[1]
    n = x.size // channels
    sums = [0] * channels
    squares = [0] * channels
    for some in _slices(x):
        values = some.astype(np.int64)
        for channel in range(channels):
            sums[channel] += int(values[:, channel].sum())
            squares[channel] += int(np.square(values[:, channel]).sum())
    pairs = zip(sums, squares, strict=True)
    deviations = [math.sqrt(n * square - total**2) / n for total, square in pairs]
    mean = np.array([total / n for total in sums]).reshape(1, -1, 1, 1)
    std = np.array([deviation or 1.0 for deviation in deviations]).reshape(1, -1, 1, 1)
    return mean, std


def normalized_dataset(
    parts: list[tuple[NDArray[Any], NDArray[Any]]],
    task: Task,
    classes: int | None,
    normalize: bool,
    name: str,
    moments: Moments = channel_moments,
) -> Dataset:
    """Makes a dataset of three parts, normalised by the moments of the training part.

    Args:
        parts: Examples `(n, *input_shape)` and targets of the training, validation and test part.
        task: See `Dataset`; only regression targets are normalised.
        classes: Number of classes; None takes the largest training label plus one.
        normalize: Whether to normalise. If not, whole-number examples (tokens) become int64.
        name: What the data is called.
        moments: Computes the mean and the standard deviation of the training examples.

    Raises:
        InputError: Numbers are too large for that, or for float32.
    """
    train_x, train_y = parts[0]
    tokens = not normalize and np.issubdtype(train_x.dtype, np.integer)
    shift_x, scale_x = moments(train_x) if normalize else (0.0, 1.0)
    regression = task == "regression"
    shift_y, scale_y = channel_moments(train_y) if normalize and regression else (0.0, 1.0)
    tensors: list[Part] = []
    for x, y in parts:
        tensor_x = (
            torch.tensor(x, dtype=torch.int64) if tokens else scaled(x, shift_x, scale_x, name)
        )
        if regression:
            tensor_y = scaled(y, shift_y, scale_y, name).reshape(len(y), -1)
        else:
            tensor_y = torch.tensor(y, dtype=torch.int64)
        tensors.append((tensor_x, tensor_y))
    outputs = tensors[0][1].shape[1] if regression else classes or int(train_y.max()) + 1
    moments_x = torch.as_tensor(shift_x).double(), torch.as_tensor(scale_x).double()
    moments_y = torch.as_tensor(shift_y).double(), torch.as_tensor(scale_y).double()
    return Dataset(name, task, tensors[0], tensors[1], tensors[2], outputs, moments_x, moments_y)


def scaled(x: NDArray[Any], shift: Any, scale: Any, name: str) -> Tensor:
    """Numbers minus `shift`, divided by `scale`, as float32.

    Raises:
        InputError: Some are too large for that.
    """
    found = np.empty(x.shape, np.float32)
    for some, into in zip(_slices(x), _slices(found), strict=True):
        with np.errstate(over="ignore", invalid="ignore"):
            into[:] = (some - shift) / scale
        if not (np.isfinite(into).all() and np.isfinite(scale).all()):
            largest = some.flat[np.abs(some).argmax()]
            raise InputError(
                f"{name}: some numbers are too large for float32, such as {largest}: give their "
                "logarithm, or other units"
            )
    return torch.from_numpy(found)


def _slices(x: NDArray[Any]) -> Iterator[NDArray[Any]]:
    return (x[start : start + AT_ONCE] for start in range(0, len(x), AT_ONCE))
