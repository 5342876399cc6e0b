"""The layers of mobile networks: inverted residuals with squeeze-and-excitation.

Sources: Sandler et al., MobileNetV2: inverted residuals and linear bottlenecks, CVPR 2018
(arXiv 1801.04381); Howard et al., Searching for MobileNetV3, ICCV 2019 (arXiv 1905.02244).
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from optnas.search_spaces.base import ACTIVATIONS
from optnas.search_spaces.conv_norm import conv_norm
from optnas.search_spaces.mobile.architecture import MobileArchitecture, MobileBlock
from optnas.search_spaces.staged import Size, rounded, useful_kernel


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, squeeze-and-excitation (if any), and linear projection.

    The block's input is added where its shape allows.

    Args:
        channels: Those of its input.
        block: Its settings.
    """

    def __init__(self, channels: int, block: MobileBlock) -> None:
        super().__init__()
        expanded, activation = block.expanded(channels), block.activation
        self.expand = None
        if block.expansion != 1:
            self.expand = conv_norm(channels, expanded, activation=activation)
        self.depthwise = conv_norm(
            expanded,
            expanded,
            block.kernel_size,
            block.stride,
            groups=expanded,
            activation=activation,
        )
        self.squeeze_excitation = None
        if block.squeeze_excitation != "none":
            self.squeeze_excitation = SqueezeExcitation(channels, expanded, block)
        self.project = conv_norm(expanded, block.width)
        self.skip = nn.Identity() if block.stride == 1 and channels == block.width else None

    def forward(self, x: Tensor) -> Tensor:
        """Images of shape `(batch, channels, height, width)` to those of the block's width."""
        y = x if self.expand is None else self.expand(x)
        y = self.depthwise(y)
        if self.squeeze_excitation is not None:
            y = self.squeeze_excitation(y)
        projected: Tensor = self.project(y)
        return projected if self.skip is None else projected + self.skip(x)


class SqueezeExcitation(nn.Module):
    """Scales each channel by a factor from 0 to 1 that depends on the channels' means.

    Of a quarter of the expanded channels: ReLU and a hard sigmoid, as in MobileNetV3. Of a quarter
    of the block's input channels: the block's activation and a sigmoid, as in MnasNet and
    EfficientNet.

    Args:
        channels: Those of the block's input.
        expanded: Those that are scaled.
        block: The block's settings.
    """

    def __init__(self, channels: int, expanded: int, block: MobileBlock) -> None:
        super().__init__()
        if block.squeeze_excitation == "expanded":
            squeezed = rounded(expanded, 0.25)
            self.activation: nn.Module = nn.ReLU()
            self.gate: nn.Module = nn.Hardsigmoid()
        else:
            squeezed = max(1, channels // 4)
            self.activation = ACTIVATIONS[block.activation]()
            self.gate = nn.Sigmoid()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.squeeze = nn.Conv2d(expanded, squeezed, 1)
        self.excite = nn.Conv2d(squeezed, expanded, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Images of shape `(batch, expanded, height, width)` to such images."""
        squeezed = self.activation(self.squeeze(self.pool(x)))
        y: Tensor = x * self.gate(self.excite(squeezed))
        return y


def block_layer(channels: int, block: MobileBlock) -> nn.Module:
    """The layer of a block; the identity is a 1×1 convolution where the shape changes."""
    if not block.is_identity:
        return InvertedResidual(channels, block)
    if block.stride == 1 and channels == block.width:
        return nn.Identity()
    return conv_norm(channels, block.width, stride=block.stride)


def network(architecture: MobileArchitecture, channels: int, size: Size, outputs: int) -> nn.Module:
    """The whole network, its layers named by what they are.

    Args:
        architecture: Its settings.
        channels: Channels of its images.
        size: Their height and width.
        outputs: The number of classes.
    """
    modules: dict[str, nn.Module] = {}
    activation = architecture.activation
    if architecture.resolution is not None:
        size = (architecture.resolution, architecture.resolution)
        modules["resize"] = nn.Upsample(size, mode="bilinear")
    width = architecture.stem_width
    modules["stem"] = conv_norm(
        channels, width, useful_kernel(3, size), architecture.stem_stride, activation=activation
    )
    for i, blocks in enumerate(architecture.stages, 1):
        layers: dict[str, nn.Module] = {}
        for j, block in enumerate(blocks, 1):
            layers[f"block{j}"] = block_layer(width, block)
            width = block.width
        if layers:
            modules[f"stage{i}"] = nn.Sequential(OrderedDict(layers))
    if architecture.head_width:
        modules["head"] = conv_norm(width, architecture.head_width, activation=activation)
        width = architecture.head_width
    modules |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    if architecture.hidden_width:
        modules["hidden"] = nn.Linear(width, architecture.hidden_width)
        modules["hidden_activation"] = ACTIVATIONS[activation]()
        width = architecture.hidden_width
    modules["classifier"] = nn.Linear(width, outputs)
    return nn.Sequential(OrderedDict(modules))
