"""The operations of cells, as in DARTS, and their layers.

Sources: Zoph et al., Learning transferable architectures for scalable image recognition, CVPR 2018
(NASNet, arXiv 1707.07012); Liu, Simonyan and Yang, DARTS: differentiable architecture search, ICLR
2019 (arXiv 1806.09055). Two details differ from DARTS. A stride of 2 halves odd sizes too, rounded
up. Nothing is normalised after a pooling, as in the networks that DARTS trains at the end, and
unlike those it searches with.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

NONE = "none"
SKIP = "skip_connect"
DARTS_OPERATIONS = (
    NONE,
    "max_pool_3x3",
    "avg_pool_3x3",
    SKIP,
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""The eight operations of DARTS."""
OPERATIONS = (
    *DARTS_OPERATIONS,
    "sep_conv_7x7",
    "conv_1x1",
    "conv_3x3",
    "conv_7x1_1x7",
)
"""All operations: those of DARTS, others of NASNet, and plain convolutions."""


def operation(name: str, channels: int, stride: int) -> nn.Module:
    """The layer of an operation, which keeps the number of channels."""
    match name:
        case "skip_connect":
            return nn.Identity() if stride == 1 else FactorizedReduction(channels, channels)
        case "max_pool_3x3":
            return nn.MaxPool2d(3, stride, padding=1)
        case "avg_pool_3x3":
            return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
        case "conv_7x1_1x7":
            return crossed(channels, stride)
    kind, _, size = name.rpartition("_")
    kernel_size = int(size[0])
    match kind:
        case "sep_conv":
            return separable(channels, kernel_size, stride)
        case "dil_conv":
            return dilated(channels, kernel_size, stride)
        case _:
            return relu_conv_norm(channels, channels, kernel_size, stride)


def relu_conv_norm(
    channels: int, width: int, kernel_size: int = 1, stride: int = 1
) -> nn.Sequential:
    """ReLU, a padded convolution, and batch normalisation."""
    return nn.Sequential(
        OrderedDict(
            activation=nn.ReLU(),
            conv=nn.Conv2d(channels, width, kernel_size, stride, kernel_size // 2, bias=False),
            norm=nn.BatchNorm2d(width),
        )
    )


def separable(channels: int, kernel_size: int, stride: int) -> nn.Sequential:
    """Two depthwise separable convolutions, of which the first has the stride."""
    return nn.Sequential(
        OrderedDict(
            first=_depthwise_separable(channels, kernel_size, stride),
            second=_depthwise_separable(channels, kernel_size, 1),
        )
    )


def dilated(channels: int, kernel_size: int, stride: int) -> nn.Sequential:
    """A depthwise separable convolution that reads every second pixel."""
    return _depthwise_separable(channels, kernel_size, stride, dilation=2)


def crossed(channels: int, stride: int) -> nn.Sequential:
    """A 1×7 convolution and a 7×1 one, one after the other."""
    return nn.Sequential(
        OrderedDict(
            activation=nn.ReLU(),
            wide=nn.Conv2d(channels, channels, (1, 7), (1, stride), (0, 3), bias=False),
            high=nn.Conv2d(channels, channels, (7, 1), (stride, 1), (3, 0), bias=False),
            norm=nn.BatchNorm2d(channels),
        )
    )


def _depthwise_separable(
    channels: int, kernel_size: int, stride: int, dilation: int = 1
) -> nn.Sequential:
    padding = dilation * (kernel_size // 2)
    return nn.Sequential(
        OrderedDict(
            activation=nn.ReLU(),
            depthwise=nn.Conv2d(
                channels,
                channels,
                kernel_size,
                stride,
                padding,
                dilation,
                groups=channels,
                bias=False,
            ),
            pointwise=nn.Conv2d(channels, channels, 1, bias=False),
            norm=nn.BatchNorm2d(channels),
        )
    )


class FactorizedReduction(nn.Module):
    """Halves the image by two 1×1 convolutions of stride 2, one of them shifted by a pixel.

    Each gives half of the channels, so that no pixel is left out. Where there is a single row or
    column, nothing is shifted across it.

    Args:
        channels: Those of its input.
        width: Its output channels, at least 2.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        shifted = width // 2
        self.activation = nn.ReLU()
        self.conv = nn.Conv2d(channels, width - shifted, 1, 2, bias=False)
        self.shifted = nn.Conv2d(channels, shifted, 1, 2, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """Images of shape `(batch, channels, height, width)` to those of half the size."""
        x = self.activation(x)
        # The added row and column matter to odd sizes only, which are rounded up.
        rows, columns = (1 if size > 1 else 0 for size in x.shape[2:])
        moved = functional.pad(x, (0, 1, 0, 1))[:, :, rows:, columns:]
        y: Tensor = self.norm(torch.cat([self.conv(x), self.shifted(moved)], dim=1))
        return y
