"""The layers of residual networks.

Sources: He et al., Deep residual learning for image recognition, CVPR 2016 (arXiv 1512.03385); Xie
et al., Aggregated residual transformations for deep neural networks, CVPR 2017 (arXiv 1611.05431).
The stride of a bottleneck block is that of its 3×3 convolution, as in today's implementations, and
not that of the 1×1 convolution before it, as in the paper.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from optnas.search_spaces.conv_norm import conv_norm
from optnas.search_spaces.resnet.architecture import ResNetArchitecture, ResNetBlocks


class ResidualBlock(nn.Module):
    """Convolutions and a shortcut, added before the last ReLU.

    The shortcut is a 1×1 convolution where the shape changes.

    Args:
        channels: Those of its input.
        blocks: The settings of its stage.
        stride: Its own.
    """

    def __init__(self, channels: int, blocks: ResNetBlocks, stride: int) -> None:
        super().__init__()
        out = blocks.channels
        self.body = (
            bottleneck(channels, blocks.inner, out, stride, blocks.groups)
            if blocks.block == "bottleneck"
            else basic(channels, out, stride)
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or channels != out:
            self.shortcut = conv_norm(channels, out, stride=stride)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Images of shape `(batch, channels, height, width)` to those of the block's channels."""
        y: Tensor = self.activation(self.body(x) + self.shortcut(x))
        return y


def basic(channels: int, out: int, stride: int) -> nn.Sequential:
    """Two 3×3 convolutions."""
    return nn.Sequential(
        OrderedDict(
            first=conv_norm(channels, out, 3, stride, activation="relu"),
            second=conv_norm(out, out, 3),
        )
    )


def bottleneck(channels: int, inner: int, out: int, stride: int, groups: int) -> nn.Sequential:
    """A 1×1 convolution to fewer channels, a 3×3 one there, and a 1×1 one back."""
    return nn.Sequential(
        OrderedDict(
            reduce=conv_norm(channels, inner, activation="relu"),
            middle=conv_norm(inner, inner, 3, stride, groups=groups, activation="relu"),
            restore=conv_norm(inner, out),
        )
    )


def network(architecture: ResNetArchitecture, channels: int, outputs: int) -> nn.Module:
    """The whole network for images with these channels, its layers named by what they are."""
    width = architecture.stem_width
    kernel_size, stride = architecture.stem_kernel_size, architecture.stem_stride
    modules: dict[str, nn.Module] = {
        "stem": conv_norm(channels, width, kernel_size, stride, activation="relu")
    }
    if architecture.stem_pool:
        modules["stem_pool"] = nn.MaxPool2d(3, 2, 1)
    for i, blocks in enumerate(architecture.stages, 1):
        if blocks is None:
            continue
        layers: dict[str, nn.Module] = {}
        for j in range(1, blocks.depth + 1):
            layers[f"block{j}"] = ResidualBlock(width, blocks, blocks.stride if j == 1 else 1)
            width = blocks.channels
        modules[f"stage{i}"] = nn.Sequential(OrderedDict(layers))
    modules |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    modules["classifier"] = nn.Linear(width, outputs)
    return nn.Sequential(OrderedDict(modules))
