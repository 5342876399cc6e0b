"""IDX, the file format of MNIST and Fashion-MNIST."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optnas.datasets.dataset import Dataset
from optnas.datasets.normalize import channel_moments
from optnas.datasets.own_test_part import with_own_test_part
from optnas.errors import InputError


def idx_images(
    folder: str | Path,
    *,
    train: int | None = None,
    val: float | int = 10_000,
    seed: int = 0,
    name: str | None = None,
) -> Dataset:
    """Images in the IDX format of MNIST and Fashion-MNIST, gzipped or not.

    Args:
        folder: A folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
            `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, each with or without `.gz`.
            Debian's package `dataset-fashion-mnist` is such a folder
            (/usr/share/datasets/fashion-mnist).
        train: Number of training images; left out, all that aren't in the validation part.
        val: Share or number of the training file's images in the validation part.
        seed: Seeds the split.
        name: What the data is called; left out, the folder's name.

    Returns:
        Images of shape `(1, height, width)`; the `t10k` files are the test part.

    Raises:
        InputError: The folder or a file is missing, truncated, or of another format.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            f"no folder {folder}: it must hold the four IDX files of MNIST or Fashion-MNIST "
            "(train-images-idx3-ubyte.gz, …); Debian and Ubuntu install Fashion-MNIST with "
            "`apt-get install dataset-fashion-mnist` to /usr/share/datasets/fashion-mnist"
        )
    name = name or folder.name
    x, y = _idx(folder, "train-images-idx3-ubyte"), _idx(folder, "train-labels-idx1-ubyte")
    test_x, test_y = _idx(folder, "t10k-images-idx3-ubyte"), _idx(folder, "t10k-labels-idx1-ubyte")
    x, test_x = x[:, None], test_x[:, None]
    classes = int(max(y.max(), test_y.max())) + 1
    return with_own_test_part(
        (x, y),
        (test_x, test_y),
        classes=classes,
        val=val,
        seed=seed,
        moments=channel_moments,
        name=name,
        train=train,
    )


def _idx(folder: Path, stem: str) -> NDArray[np.uint8]:
    """Reads one IDX file of unsigned bytes, gzipped or not.

    The header is two zero bytes, 8 (for unsigned bytes), the number of dimensions, and the size of
    each dimension as a big-endian 32-bit number. The data follows.
    """
    path = next((p for p in (folder / stem, folder / f"{stem}.gz") if p.is_file()), None)
    if path is None:
        raise InputError(f"{folder} has neither {stem} nor {stem}.gz")
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path} can't be read: {error}; get the file again") from error
    dimensions = 3 if "images" in stem else 1
    if raw[:4] != bytes([0, 0, 8, dimensions]):
        raise InputError(
            f"{path} is no IDX file of bytes with {dimensions} dimension(s): it begins with "
            f"{raw[:4].hex(' ')}"
        )
    header = 4 + 4 * dimensions
    if len(raw) < header:
        raise InputError(f"{path} is truncated within its header; get the file again")
    shape = np.frombuffer(raw[4:header], ">u4")
    if len(raw) - header != shape.prod(dtype=np.int64):
        raise InputError(
            f"{path} is truncated: its header says {'×'.join(map(str, shape))} bytes, "
            f"{len(raw) - header} are there; get the file again"
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)
