"""The binary files of CIFAR-10 and CIFAR-100."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optnas.datasets.dataset import Dataset
from optnas.datasets.normalize import byte_moments
from optnas.datasets.own_test_part import with_own_test_part
from optnas.errors import InputError

PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Files:
    """The files of one of the two data sets.

    Attributes:
        name: The name of the data set.
        train: The files of the training part, in order.
        test: The file of the test part.
        train_images: Number of images in each training file.
        test_images: Number of images in the test file.
        classes: Number of classes by each of the labels that stand before an image.
    """

    name: str
    train: tuple[str, ...]
    test: str
    train_images: int
    test_images: int
    classes: tuple[int, ...]


CIFAR10 = Files(
    "CIFAR-10",
    tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    "test_batch.bin",
    10_000,
    10_000,
    (10,),
)
CIFAR100 = Files("CIFAR-100", ("train.bin",), "test.bin", 50_000, 10_000, (20, 100))


def cifar(
    folder: str | Path,
    *,
    coarse: bool = False,
    train: int | None = None,
    val: float | int = 5_000,
    seed: int = 0,
    name: str | None = None,
) -> Dataset:
    """The images of CIFAR-10 or CIFAR-100, from the binary version of their files.

    Both are at https://www.cs.toronto.edu/~kriz/cifar.html. By default 45,000 images are trained
    on and 5,000 validate, as in He et al., CVPR 2016 (arXiv 1512.03385).

    Args:
        folder: A folder with `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`
            (CIFAR-10), or with `train.bin` and `test.bin` (CIFAR-100).
        coarse: Whether the 20 superclasses of CIFAR-100 are the classes, in place of its 100.
        train: Number of training images; left out, all that aren't in the validation part.
        val: Share or number of the 50,000 training images in the validation part.
        seed: Seeds the split.
        name: What the data is called; left out, `CIFAR-10` or `CIFAR-100`.

    Returns:
        Images of shape `(3, 32, 32)`; the 10,000 test images are the test part.

    Raises:
        InputError: The folder or a file is missing, a file is of another size, or CIFAR-10 is asked
            for superclasses.

    Example:
        ```python
        import optnas

        evaluator = optnas.TrainingEvaluator(
            optnas.cifar("cifar-10-batches-bin"),
            epochs=30,
            recipe=optnas.Recipe(flip=True, shift=4, label_smoothing=0.1),
        )
        ```
    """
    files = _files(Path(folder))
    if coarse and len(files.classes) == 1:
        raise InputError(f"{files.name} has no superclasses: leave coarse=True out")
    paths = {Path(folder) / file: files.train_images for file in files.train}
    paths[Path(folder) / files.test] = files.test_images
    for path, images in paths.items():
        _check_size(path, images, files)
    read = [_read(path, images, files, coarse) for path, images in paths.items()]
    x, y = (np.concatenate(arrays) for arrays in zip(*read[:-1], strict=True))
    return with_own_test_part(
        (x, y),
        read[-1],
        classes=files.classes[0] if coarse else files.classes[-1],
        val=val,
        seed=seed,
        moments=byte_moments,
        name=name or files.name + " coarse" * coarse,
        train=train,
    )


def _files(folder: Path) -> Files:
    for files in (CIFAR10, CIFAR100):
        if (folder / files.train[0]).is_file():
            return files
    what = "is no folder" if not folder.is_dir() else "has neither data_batch_1.bin nor train.bin"
    if (folder / "data_batch_1").is_file() or (folder / "train").is_file():
        what = "has the Python version of the files"
    raise InputError(
        f"{folder} {what}: give the folder of the binary version of CIFAR-10 "
        "(cifar-10-batches-bin) or CIFAR-100 (cifar-100-binary), unpacked"
    )


def _check_size(path: Path, images: int, files: Files) -> None:
    """Raises InputError unless a file has the size that it must have; reads nothing of it."""
    expected = images * (len(files.classes) + PIXELS)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} can't be read: {error}; get {files.name} again") from error
    if size != expected:
        raise InputError(
            f"{path} has {size:,} bytes, and this file of {files.name} has {expected:,}: get it "
            "again"
        )


def _read(
    path: Path, images: int, files: Files, coarse: bool
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images `(n, 3, 32, 32)` and their classes.

    For each image there is a byte for each label, the superclass first, and then the red, green and
    blue pixels, row by row.
    """
    labels = len(files.classes)
    try:
        raw = np.fromfile(path, np.uint8, images * (labels + PIXELS)).reshape(images, -1)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be read: {error}; get {files.name} again") from error
    y = raw[:, 0 if coarse else labels - 1].astype(np.int64)
    return raw[:, labels:].reshape(-1, 3, 32, 32), y
