"""Images in folders, one folder a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from optnas.datasets.dataset import Dataset
from optnas.datasets.normalize import byte_moments, normalized_dataset
from optnas.datasets.own_test_part import with_own_test_part
from optnas.datasets.split import split
from optnas.errors import InputError

ENDINGS = (".jpeg", ".jpg", ".png")


def image_folder(
    folder: str | Path,
    size: int | tuple[int, int],
    *,
    channels: Literal[1, 3] = 3,
    val: float | int = 0.2,
    test: float | int | str | Path = 0.2,
    seed: int = 0,
    name: str | None = None,
) -> Dataset:
    """PNG and JPEG images in folders, one folder a class (needs Pillow: `optnas[images]`).

    Classes are numbered from 0 in the order of the folders' names. An image is turned as its EXIF
    data says, cut to the shape of `size` around its middle, and resized. (Another version of Pillow
    may compute other pixels; then a study is asked to accept other data.) All images are in memory,
    and they are read anew each time: large ones are better resized once, in files of their own.

    Args:
        folder: Its sub-folders are the classes; images lie directly in them. Files of other kinds,
            and all whose names begin with a dot, are ignored.
        size: Height and width in pixels; one number makes squares.
        channels: 3 for colours, 1 for grey. Transparency is dropped.
        val: Share or number of the images in the validation part.
        test: Share or number of the images in the test part; or another folder, with the same
            classes, which is the test part.
        seed: Seeds the split.
        name: What the data is called; left out, the folder's name.

    Returns:
        Images of shape `(channels, height, width)`. Every part keeps the classes' shares.

    Raises:
        InputError: Pillow is missing, there is no folder, a class has no image, an image can't be
            read, or a part would be empty.

    Example:
        ```python
        import optnas

        data = optnas.image_folder("flowers/train", size=64, test="flowers/test")
        ```
    """
    shape = _shape(size, channels)
    folder = Path(folder)
    name = name or folder.resolve().name
    classes = _listed(folder)
    x, y = _read(list(classes.values()), shape)
    if isinstance(test, (str, Path)):
        others = _listed(Path(test))
        if list(others) != list(classes):
            raise InputError(
                f"{test} must have the classes of {folder}, {', '.join(classes)}; it has "
                f"{', '.join(others)}"
            )
        return with_own_test_part(
            (x, y),
            _read(list(others.values()), shape),
            classes=len(classes),
            val=val,
            seed=seed,
            moments=byte_moments,
            name=name,
        )
    rest, test_index = split(
        np.arange(len(x)), y, "classification", test, seed, "test", name, names=list(classes)
    )
    train_index, val_index = split(
        rest, y, "classification", val, seed, "val", name, of=len(x), names=list(classes)
    )
    parts = [(x[index], y[index]) for index in (train_index, val_index, test_index)]
    return normalized_dataset(parts, "classification", len(classes), True, name, byte_moments)


def _shape(size: int | tuple[int, int], channels: int) -> tuple[int, int, int]:
    sides = size if isinstance(size, (tuple, list)) else (size, size)
    if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
        raise InputError(f"size must be a number of pixels, or height and width, got {size!r}")
    if channels not in (1, 3):
        raise InputError(f"channels must be 3 (colours) or 1 (grey), got {channels!r}")
    return channels, *sides


def _listed(folder: Path) -> Mapping[str, Sequence[Path]]:
    """The images of each class, both in the order of their names."""
    if not folder.is_dir():
        raise InputError(f"no folder {folder}: it must hold one folder of images for each class")
    found = {}
    for inside in _visible(folder):
        if inside.is_dir():
            images = [file for file in _visible(inside) if file.suffix.lower() in ENDINGS]
            found[inside.name] = [image for image in images if image.is_file()]
    empty = [name for name, images in found.items() if not images]
    if not found or empty:
        what = f"its folder {empty[0]} has none" if empty else "it has no folders"
        raise InputError(
            f"{folder} must hold one folder of images ({', '.join(ENDINGS)}) for each class, but "
            f"{what}; if the folders are parts such as train and test, give "
            "image_folder('…/train', size, test='…/test')"
        )
    return found


def _visible(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _read(
    classes: Sequence[Sequence[Path]], shape: tuple[int, int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All images as one array of bytes, and their classes."""
    y = np.repeat(np.arange(len(classes)), [len(images) for images in classes])
    x = np.empty((len(y), *shape), np.uint8)
    paths = (path for images in classes for path in images)
    for i, path in enumerate(paths):
        x[i] = _pixels(path, shape)
    return x, y


def _pixels(path: Path, shape: tuple[int, int, int]) -> NDArray[Any]:
    """One image, as bytes of shape `(channels, height, width)`, or of one that it broadcasts to."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise InputError(
            f"image_folder needs the extra images: pip install 'optnas[images]' ({error})"
        ) from error
    channels, height, width = shape
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise InputError(f"it has more than 8 bits a channel (mode {image.mode})")
            # A JPEG is decoded at the smallest scale that is twice as large as needed, or larger.
            image.draft(None, (2 * max(width, height),) * 2)
            turned = ImageOps.exif_transpose(image)
            if "transparency" in turned.info:
                turned = turned.convert("RGBA")
            turned = turned.convert("RGB" if channels == 3 else "L")
            fitted = ImageOps.fit(turned, (width, height), Image.Resampling.BILINEAR)
    except Exception as error:  # a damaged file raises about anything
        raise InputError(
            f"{path} can't be used as an image: {error}; replace or remove it"
        ) from error
    pixels = np.asarray(fitted)
    return pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels
