"""IDX, the file format of MNIST and Fashion-MNIST."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optnas.datasets.dataset import Dataset
from optnas.datasets.normalize import channel_moments
from optnas.datasets.own_test_part import with_own_test_part
from optnas.errors import InputError

MOST_PACKED = 1100
"""An archive of gzip holds at most this number of bytes in one of its own; the format has no room
for more."""
CHUNK = 1 << 20
"""Bytes that are read at once."""


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
    dimensions = 3 if "images" in stem else 1
    packed = path.suffix == ".gz"
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            shape = _shape(path, file.read(4 + 4 * dimensions), dimensions)
            expected = math.prod(shape)
            most = path.stat().st_size * (MOST_PACKED if packed else 1)
            # One byte more, if there is one: then the file doesn't end where it should.
            raw = _read(file, expected + 1) if expected <= most else b""
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path} can't be read: {error}; get the file again") from error
    says = f"its header says {'×'.join(map(str, shape))} bytes"
    if len(raw) < expected:
        found = f"{len(raw):,} are there" if expected <= most else "it is too small for them"
        raise InputError(f"{path} is truncated: {says}, {found}; get the file again")
    if len(raw) > expected:
        raise InputError(f"{path} is damaged: {says}, and more are there; get the file again")
    return np.frombuffer(raw, np.uint8).reshape(shape)


def _shape(path: Path, header: bytes, dimensions: int) -> tuple[int, ...]:
    """The sizes in a header; raises InputError if it isn't one, or says that there is nothing."""
    if header[:4] != bytes([0, 0, 8, dimensions]):
        raise InputError(
            f"{path} is no IDX file of bytes with {dimensions} dimension(s): it begins with "
            f"{header[:4].hex(' ')}"
        )
    if len(header) < 4 + 4 * dimensions:
        raise InputError(f"{path} is truncated within its header; get the file again")
    shape = struct.unpack(f">{dimensions}I", header[4:])  # Python's numbers don't overflow
    if not all(shape):
        raise InputError(f"{path} is empty: its header says {'×'.join(map(str, shape))} bytes")
    return shape


def _read(file: io.BufferedIOBase, most: int) -> bytearray:
    """Reads a number of bytes, or fewer at the end; memory is taken as they come."""
    found = bytearray()
    while len(found) < most and (some := file.read(min(most - len(found), CHUNK))):
        found += some
    return found
