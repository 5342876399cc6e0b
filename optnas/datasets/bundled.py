"""Small data sets that are installed with scikit-learn."""

from __future__ import annotations

from optnas.datasets.arrays import arrays
from optnas.datasets.dataset import Dataset


def digits(*, seed: int = 0) -> Dataset:
    """The 1,797 handwritten digits of scikit-learn: images of 1×8×8 pixels, 10 classes.

    Split into 1,079 training, 359 validation and 359 test images.

    Args:
        seed: Seeds the split.
    """
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return arrays(x.reshape(-1, 1, 8, 8), y, seed=seed, name="digits")


def diabetes(*, seed: int = 0) -> Dataset:
    """The 442 patients of scikit-learn's diabetes data: 10 features, 1 regression target.

    The target, disease progression after a year, is normalised, so predicting the mean gives a
    val_loss of 1. Split into 266 training, 88 validation and 88 test patients.

    Args:
        seed: Seeds the split.
    """
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    return arrays(x, y, task="regression", seed=seed, name="diabetes")
