"""A convolution with what follows it, as search spaces use it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from optnas.search_spaces.base import ACTIVATIONS


def group_norm(width: int) -> nn.Module:
    """Normalises up to 8 groups of channels, of 2 channels or more where the width allows it.

    A group of a single channel would be 0 wherever the image is a single pixel.

    Source: Wu and He, Group normalization, ECCV 2018 (arXiv 1803.08494).
    """
    return nn.GroupNorm(next((n for n in (8, 4, 2) if width % (2 * n) == 0), 1), width)


NORMS: dict[str, Callable[[int], nn.Module] | None] = {
    "none": None,
    "batch": nn.BatchNorm2d,
    "group": group_norm,
}
"""Normalisations of a number of channels. A convolution has a bias where there is none."""


def conv_norm(
    channels: int,
    width: int,
    kernel_size: int = 1,
    stride: int = 1,
    *,
    groups: int = 1,
    norm: str = "batch",
    activation: str | None = None,
) -> nn.Sequential:
    """A padded convolution, its normalisation (if any) and an activation (if any)."""
    normalise = NORMS[norm]
    bias, padding = normalise is None, kernel_size // 2
    layers: dict[str, nn.Module] = {
        "conv": nn.Conv2d(channels, width, kernel_size, stride, padding, groups=groups, bias=bias)
    }
    if normalise is not None:
        layers["norm"] = normalise(width)
    if activation is not None:
        layers["activation"] = ACTIVATIONS[activation]()
    return nn.Sequential(OrderedDict(layers))
