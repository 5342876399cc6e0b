"""Normalisation: arrays become tensors of mean 0 and standard deviation 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from optnas.datasets.dataset import Dataset, Part, Task


def normalized_dataset(
    parts: list[tuple[NDArray[Any], NDArray[Any]]],
    task: Task,
    classes: int | None,
    normalize: bool,
    name: str,
) -> Dataset:
    """Makes a dataset of three parts, normalised by the moments of the training part.

    Args:
        parts: Examples `(n, *input_shape)` and targets of the training, validation and test part.
        task: `classification` or `regression`; only regression targets are normalised.
        classes: Number of classes; None takes the largest training label plus one.
        normalize: Whether to normalise. If not, whole-number examples (tokens) become int64.
        name: What the data is called.
    """
    train_x, train_y = parts[0]
    tokens = not normalize and np.issubdtype(train_x.dtype, np.integer)
    shift_x, scale_x = _moments(train_x) if normalize else (0.0, 1.0)
    regression = task == "regression"
    shift_y, scale_y = _moments(train_y) if normalize and regression else (0.0, 1.0)
    tensors: list[Part] = []
    for x, y in parts:
        tensor_x = torch.tensor(x, dtype=torch.int64) if tokens else _float(x, shift_x, scale_x)
        if regression:
            tensor_y = _float(y, shift_y, scale_y).reshape(len(y), -1)
        else:
            tensor_y = torch.tensor(y, dtype=torch.int64)
        tensors.append((tensor_x, tensor_y))
    outputs = tensors[0][1].shape[1] if regression else classes or int(train_y.max()) + 1
    moments_x = torch.as_tensor(shift_x).float(), torch.as_tensor(scale_x).float()
    moments_y = torch.as_tensor(shift_y).float(), torch.as_tensor(scale_y).float()
    return Dataset(name, task, tensors[0], tensors[1], tensors[2], outputs, moments_x, moments_y)


def _moments(x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and standard deviation, for each channel of images, else for each feature.

    The standard deviation of a constant is given as 1, so that dividing by it is safe.
    """
    axes = (0, *range(2, x.ndim)) if x.ndim > 2 else (0,)
    mean = x.mean(axes, keepdims=True, dtype=np.float64)
    std = x.std(axes, keepdims=True, dtype=np.float64)
    return mean, np.where(std > 0, std, 1.0)


def _float(x: NDArray[Any], shift: Any, scale: Any) -> Tensor:
    return torch.from_numpy(((x - shift) / scale).astype(np.float32))
