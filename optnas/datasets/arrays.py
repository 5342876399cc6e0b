"""Data for a search: arrays in, tensors out, split once and for all."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from optnas.datasets.dataset import Dataset, Part, Task
from optnas.errors import InputError


def arrays(
    x: ArrayLike,
    y: ArrayLike,
    *,
    task: Task | None = None,
    classes: int | None = None,
    val: float | int = 0.2,
    test: float | int = 0.2,
    seed: int = 0,
    normalize: bool = True,
    name: str = "arrays",
) -> Dataset:
    """Splits arrays into training, validation and test parts.

    The split is random under `seed`, and keeps the classes' shares. Normalisation (mean 0,
    standard deviation 1: for each channel of images, for each feature otherwise, and for
    regression targets) uses the training part alone.

    Args:
        x: Examples, shape `(n, features)` or `(n, channels, height, width)`.
        y: Targets: class numbers from 0, shape `(n,)`; or numbers, `(n,)` or `(n, outputs)`.
        task: `classification` or `regression`. Left out, integer and bool targets mean classes
            and others regression; where that is doubtful (floats that are all whole, very many
            different integers) an error asks for it.
        classes: Number of classes; left out, the largest class number plus one.
        val: Share, or number, of examples for validation.
        test: Share, or number, of examples for the test part.
        seed: Seeds the split.
        normalize: Whether to normalise `x` and regression targets; if not, whole-number examples
            (tokens) stay int64.
        name: What the data is called.

    Raises:
        InputError: Lengths differ, a value isn't finite, labels are out of range, or the parts
            don't fit.
    """
    x, y = _numbers(x, "examples", name), _numbers(y, "targets", name)
    if y.dtype == bool:
        y = y.astype(np.int64)
    task = task or _guess_task(y, name)
    check(x, y, task, classes, name)
    rest, test_index = split(np.arange(len(x)), y, task, test, seed, "test", name)
    train_index, val_index = split(rest, y, task, val, seed, "val", name, of=len(x))
    parts = [(x[index], y[index]) for index in (train_index, val_index, test_index)]
    return make_dataset(parts, task, classes, normalize, name)


def digits(*, seed: int = 0) -> Dataset:
    """The 1,797 handwritten digits that ship with scikit-learn: images of 1×8×8, 10 classes.

    Split 1,079 / 359 / 359.
    """
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return arrays(x.reshape(-1, 1, 8, 8), y, seed=seed, name="digits")


def diabetes(*, seed: int = 0) -> Dataset:
    """The 442 patients of scikit-learn's diabetes data: 10 features, 1 regression target.

    The target (disease progression after a year) is normalised, so a val_loss of 1 is what
    predicting the mean gives. Split 266 / 88 / 88.
    """
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    return arrays(x, y, task="regression", seed=seed, name="diabetes")


def _numbers(values: ArrayLike, what: str, name: str) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(f"{name}: the {what} make no array: {error}") from error
    if array.dtype.kind not in "biuf" or array.ndim == 0:
        raise InputError(
            f"{name}: the {what} must be an array of real numbers, got {array.dtype} of shape "
            f"{array.shape}; encode text and categories as numbers first"
        )
    return array


def _guess_task(y: NDArray[Any], name: str) -> Task:
    values = len(np.unique(y))
    if np.issubdtype(y.dtype, np.integer):
        doubtful = values > max(20, len(y) / 5)
    else:
        doubtful = y.ndim == 1 and values <= 20 and bool((y == np.floor(y)).all())
    if doubtful:
        raise InputError(
            f"{name}: {values} different targets of type {y.dtype} may be classes or numbers: give "
            "task='classification' (with integer labels) or task='regression'"
        )
    return "classification" if np.issubdtype(y.dtype, np.integer) else "regression"


def check(x: NDArray[Any], y: NDArray[Any], task: Task, classes: int | None, name: str) -> None:
    """Raises InputError unless examples and targets fit together."""
    if task not in get_args(Task):
        raise InputError(f"task must be one of {', '.join(get_args(Task))}, got {task!r}")
    if len(x) != len(y) or len(x) == 0:
        raise InputError(f"{name}: {len(x)} examples but {len(y)} targets; give as many of each")
    if not np.isfinite(x).all() or not np.isfinite(y).all():
        raise InputError(f"{name}: there are NaN or infinite values; remove or fill them first")
    if task == "classification":
        if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
            raise InputError(
                f"{name}: class labels must be whole numbers of shape (n,), got {y.dtype} of "
                f"shape {y.shape}"
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
                "from 0 without gaps, or give classes="
            )


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
    """Splits `index` in two; the second holds `size` (a number, or a share of `of`)."""
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
    except ValueError as error:  # a class with a single member, or more classes than places
        raise InputError(
            f"{name}: can't split off {part}={size} by class: {error} (if these are no classes, "
            "give task='regression')"
        ) from error
    return np.sort(first), np.sort(second)


def make_dataset(
    parts: list[tuple[NDArray[Any], NDArray[Any]]],
    task: Task,
    classes: int | None,
    normalize: bool,
    name: str,
) -> Dataset:
    """Normalises the parts by the first one, and makes tensors of them."""
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
    """Mean and standard deviation (1 where constant) by channel of images, else by feature."""
    axes = (0, *range(2, x.ndim)) if x.ndim > 2 else (0,)
    mean = x.mean(axes, keepdims=True, dtype=np.float64)
    std = x.std(axes, keepdims=True, dtype=np.float64)
    return mean, np.where(std > 0, std, 1.0)


def _float(x: NDArray[Any], shift: Any, scale: Any) -> Tensor:
    return torch.from_numpy(((x - shift) / scale).astype(np.float32))
