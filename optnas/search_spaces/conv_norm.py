"""A convolution with what follows it, as search spaces use it."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from optnas.search_spaces.base import ACTIVATIONS


def conv_norm(
    channels: int,
    width: int,
    kernel_size: int = 1,
    stride: int = 1,
    *,
    groups: int = 1,
    activation: str | None = None,
) -> nn.Sequential:
    """A padded convolution, batch normalisation and, if any, an activation."""
    layers: dict[str, nn.Module] = {
        "conv": nn.Conv2d(
            channels, width, kernel_size, stride, kernel_size // 2, groups=groups, bias=False
        ),
        "norm": nn.BatchNorm2d(width),
    }
    if activation is not None:
        layers["activation"] = ACTIVATIONS[activation]()
    return nn.Sequential(OrderedDict(layers))
