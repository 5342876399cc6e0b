"""A dataset from arrays: checked, split and normalised."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optnas.datasets.check_arrays import check_examples, check_shape, guess_task
from optnas.datasets.dataset import Dataset, Task
from optnas.datasets.normalize import normalized_dataset
from optnas.datasets.split import split
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

    The split is random under `seed`; for classification every part keeps the classes' shares.
    Normalisation gives
    mean 0 and standard deviation 1 for each channel of images, else for each feature, and for
    regression targets; it uses the training part only. Of sequences, the second dimension holds
    the channels: normalise those of shape `(n, length, features)` yourself (`normalize=False`).

    Args:
        x: Examples, shape `(n, features)` or `(n, channels, height, width)`.
        y: Targets: class numbers from 0, shape `(n,)`; numbers, `(n,)` or `(n, outputs)`; or a
            class for each pixel, `(n, height, width)`. Pixels with a negative number are left out
            of the loss and the scores.
        task: `classification`, `regression` or `segmentation` (a class for each pixel). Left out,
            integer and bool targets mean classes, of pixels if they have the images' size, and
            others regression. In doubt (floats that are all whole, very many different integers) an
            error asks for it.
        classes: Number of classes; left out, the largest class number plus one.
        val: Share or number of examples in the validation part.
        test: Share or number of examples in the test part.
        seed: Seeds the split.
        normalize: Whether to normalise `x` and regression targets. If not, whole-number examples
            (tokens) become int64.
        name: What the data is called, in reports and errors.

    Raises:
        InputError: The lengths differ, a value is NaN or infinite, labels are out of range, images
            have their channels last, or a part would be empty.

    Warns:
        UserWarning: The dimensions of the examples may be in another order than networks expect.

    Example:
        ```python
        import numpy as np
        import optnas

        rng = np.random.default_rng(0)
        data = optnas.arrays(rng.normal(size=(100, 4)), rng.integers(0, 3, 100))
        ```
    """
    x, y = _numbers(x, "examples", name), _numbers(y, "targets", name)
    if y.dtype == bool:
        y = y.astype(np.int64)
    task = task or guess_task(y, name, x)
    check_examples(x, y, task, classes, name)
    check_shape(x, normalize, name, stacklevel=2)
    rest, test_index = split(np.arange(len(x)), y, task, test, seed, "test", name)
    train_index, val_index = split(rest, y, task, val, seed, "val", name, of=len(x))
    parts = [(x[index], y[index]) for index in (train_index, val_index, test_index)]
    if task == "segmentation" and classes is None:
        classes = int(y.max()) + 1  # a rare class may be in one part only
    return normalized_dataset(parts, task, classes, normalize, name)


def _numbers(values: ArrayLike, what: str, name: str) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(f"{name}: the {what} make no array: {error}") from error
    if array.dtype.kind not in "biuf" or array.ndim == 0:
        raise InputError(
            f"{name}: the {what} must be an array of real numbers, got {array.dtype} of shape "
            f"{array.shape}; encode text and categories as numbers first"
            + (" (np.unique(y, return_inverse=True)[1])" if what == "targets" else "")
        )
    return array
