"""Random changes of training batches, on their device: images mirrored, shifted, cut, and mixed.

A class for each pixel is mirrored and shifted with its pixel; pixels that come in from outside of
the image are left out of the loss. It stays where a square of the image is cut out, so that the
network learns to tell it from what is around. Mixed images have the loss for the classes of both.

Sources: mirroring and shifting as in He et al., CVPR 2016 (arXiv 1512.03385); DeVries and Taylor,
Improved regularization of convolutional neural networks with cutout (arXiv 1708.04552); Zhang et
al., mixup: beyond empirical risk minimization, ICLR 2018 (arXiv 1710.09412).

All is drawn from the global generators (torch's of the device, and NumPy's), which checkpoints
hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from optnas.datasets.class_numbers import UNCOUNTED
from optnas.errors import InputError
from optnas.evaluators.recipe import Recipe
from optnas.utils.inputs import Inputs, described


class Mixed(NamedTuple):
    """The targets of examples that are a mixture of two.

    Attributes:
        first: The targets of the first examples.
        second: The targets of the second ones.
        share: The share of the first examples, the same in the whole batch.
    """

    first: Tensor
    second: Tensor
    share: float


def augmented(
    batches: Iterable[tuple[Inputs, Tensor]], recipe: Recipe
) -> Iterable[tuple[Inputs, Tensor | Mixed]]:
    """The batches with the recipe's augmentation; the same iterable if it has none.

    Args:
        batches: Inputs and targets. Images have shape `(batch, channels, height, width)`, classes
            of their pixels `(batch, height, width)`.
        recipe: Its `flip`, `shift`, `cutout` and `mixup`.
    """
    if recipe.flip or recipe.shift or recipe.cutout or recipe.mixup:
        return (_augment(x, y, recipe) for x, y in batches)
    return batches


def _augment(x: Inputs, y: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor | Mixed]:
    if not isinstance(x, Tensor):
        raise InputError(
            f"mixup takes means of one tensor, and the inputs are {described(x)}: leave it out of "
            "the recipe"
        )
    pixelwise = not y.is_floating_point() and y.ndim > 1 and y.shape[1:] == x.shape[2:]
    y = y.long() if pixelwise else y  # smaller types don't hold the number of what is left out
    if recipe.flip:
        chosen = torch.rand(len(x), device=x.device) < 0.5
        x = _flipped(x, chosen)
        y = _flipped(y[:, None], chosen)[:, 0] if pixelwise else y
    if recipe.shift:
        ways = torch.randint(0, 2 * recipe.shift + 1, (2, len(x)), device=x.device)
        x = _shifted(x, recipe.shift, ways)
        y = _shifted(y[:, None], recipe.shift, ways, UNCOUNTED)[:, 0] if pixelwise else y
    if recipe.cutout:
        x = _cut(x, recipe.cutout)
    return _mixed(x, y, recipe.mixup) if recipe.mixup else (x, y)


def _flipped(x: Tensor, chosen: Tensor) -> Tensor:
    """Mirrors the chosen images left to right."""
    return torch.where(chosen[:, None, None, None], x.flip(3), x)


def _shifted(x: Tensor, most: int, ways: Tensor, outside: int = 0) -> Tensor:
    """Moves each image by up to some pixels in both directions; `outside` comes in.

    Args:
        x: The images.
        most: That number of pixels.
        ways: How far, down and to the right, from 0 to 2·`most`; shape `(2, n)`.
        outside: The value of pixels outside of an image.
    """
    n, _, height, width = x.shape
    padded = functional.pad(x, (most, most, most, most), value=outside)
    # All windows of the images' size are a view; the index copies one of each image.
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(n, device=x.device), :, ways[0], ways[1]]


def _cut(x: Tensor, side: int) -> Tensor:
    """Sets a square of each image to 0. Its centre is in the image, its borders may be outside."""
    n, _, height, width = x.shape
    rows, columns = (_inside(n, length, side, x.device) for length in (height, width))
    cut = (rows[:, :, None] & columns[:, None, :])[:, None]
    return x.where(~cut, 0)  # masked_fill would change the layout of the memory


def _inside(n: int, length: int, side: int, device: torch.device) -> Tensor:
    """Which pixels of a line lie in the square, for each image: shape `(n, length)`."""
    start = torch.randint(0, length, (n, 1), device=device) - side // 2
    pixel = torch.arange(length, device=device)
    return (pixel >= start) & (pixel < start + side)


def _mixed(x: Tensor, y: Tensor, alpha: float) -> tuple[Tensor, Mixed]:
    """Mixes each example with another one of the batch, all by one share of Beta(α, α)."""
    if not x.is_floating_point():
        raise InputError(
            f"mixup takes means of examples, and these are {x.dtype}: leave it out of the recipe"
        )
    share = float(np.random.beta(alpha, alpha))
    other = torch.randperm(len(x), device=x.device)
    return torch.lerp(x[other], x, share), Mixed(y, y[other], share)
