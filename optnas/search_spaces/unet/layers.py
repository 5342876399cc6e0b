"""The layers of U-Nets.

Sources: Ronneberger et al., U-Net: convolutional networks for biomedical image segmentation, MICCAI
2015 (arXiv 1505.04597); Oktay et al., Attention U-Net: learning where to look for the pancreas,
MIDL 2018 (arXiv 1804.03999).

Convolutions are padded here, so that each output pixel belongs to an input pixel. In the paper they
aren't, and the skip connections are cropped.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from optnas.search_spaces.base import ACTIVATIONS
from optnas.search_spaces.conv_norm import conv_norm
from optnas.search_spaces.staged import Size, strided, useful_kernel
from optnas.search_spaces.unet.architecture import UNetArchitecture


class UNet(nn.Module):
    """An encoder, a decoder, and skip connections between their levels.

    Layers are named by their level: `encoder1`, `down1`, `encoder2`, …, `up1`, `gate1`, `decoder1`,
    `head`. So networks of other depths share those of the levels that both have.

    Args:
        architecture: The settings.
        channels: Those of the images.
        outputs: The number of classes.
        size: Height and width of the images. Larger kernels than a level has a use for are cut.
    """

    def __init__(
        self, architecture: UNetArchitecture, channels: int, outputs: int, size: Size
    ) -> None:
        super().__init__()
        self._levels = architecture.levels
        widths = architecture.widths
        for i, width in enumerate(widths, 1):
            kernel_size = useful_kernel(architecture.kernel_size, size)
            self.add_module(f"encoder{i}", UNetBlock(architecture, channels, width, kernel_size))
            channels = width
            if i == self._levels:
                break
            self.add_module(f"down{i}", _down(architecture, width))
            self.add_module(f"up{i}", Up(architecture, widths[i], width))
            if architecture.attention == "gate":
                self.add_module(f"gate{i}", AttentionGate(width))
            decoder = UNetBlock(architecture, 2 * width, width, kernel_size)
            self.add_module(f"decoder{i}", decoder)
            size = strided(size, 2)
        self.head = nn.Conv2d(widths[0], outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Images `(batch, channels, height, width)` to logits `(batch, outputs, height, width)`."""
        layers = self._modules
        skips: list[Tensor] = []
        for i in range(1, self._levels):
            x = self.get_submodule(f"encoder{i}")(x)
            skips.append(x)
            x = self.get_submodule(f"down{i}")(x)
        x = self.get_submodule(f"encoder{self._levels}")(x)
        for i in range(self._levels - 1, 0, -1):
            skip = skips.pop()
            x = self.get_submodule(f"up{i}")(x, skip)
            if f"gate{i}" in layers:
                skip = self.get_submodule(f"gate{i}")(skip, x)
            x = self.get_submodule(f"decoder{i}")(torch.cat((skip, x), 1))
        logits: Tensor = self.head(x)
        return logits


class Up(nn.Module):
    """Doubles height and width, up to those of the skip connection, which may be odd.

    Args:
        architecture: Its `up` is used.
        channels: Those of its input.
        width: Those of its output.
    """

    def __init__(self, architecture: UNetArchitecture, channels: int, width: int) -> None:
        super().__init__()
        self.transposed: nn.Module | None = None
        self.conv: nn.Module | None = None
        if architecture.up == "transposed":
            self.transposed = nn.ConvTranspose2d(channels, width, 2, 2)
        else:
            self.conv = nn.Conv2d(channels, width, 1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """The smaller images, in the size of `skip`."""
        height, width = skip.shape[2:]
        if self.transposed is not None:
            larger: Tensor = self.transposed(x)
            return larger[:, :, :height, :width]
        assert self.conv is not None
        found: Tensor = self.conv(functional.interpolate(x, (height, width), mode="bilinear"))
        return found


class AttentionGate(nn.Module):
    """Multiplies each pixel of a skip connection by a number between 0 and 1.

    That is σ(ψ(ReLU(θ(skip) + φ(gating)))), with 1×1 convolutions θ, φ and ψ. In the paper the
    gating signal is the smaller image and the result is interpolated; here it is the enlarged one.

    Args:
        width: Channels of both images; half of them lie between.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = max(1, width // 2)
        self.theta = nn.Conv2d(width, inner, 1, bias=False)
        self.phi = nn.Conv2d(width, inner, 1)
        self.relu = nn.ReLU()
        self.psi = nn.Conv2d(inner, 1, 1)
        self.sigmoid = nn.Sigmoid()

    def forward(self, skip: Tensor, gating: Tensor) -> Tensor:
        """The skip connection, weighted; both have shape `(batch, width, height, width)`."""
        both = self.relu(self.theta(skip) + self.phi(gating))
        weighted: Tensor = skip * self.sigmoid(self.psi(both))
        return weighted


class UNetBlock(nn.Module):
    """The convolutions of an encoder's or a decoder's level.

    A residual block adds its input, through a 1×1 convolution where the number of channels changes,
    before the last activation.

    Args:
        architecture: The settings.
        channels: Those of its input.
        width: Those of its output.
        kernel_size: That of the level.
    """

    def __init__(
        self, architecture: UNetArchitecture, channels: int, width: int, kernel_size: int
    ) -> None:
        super().__init__()
        norm, activation = architecture.norm, ACTIVATIONS[architecture.activation]
        layers: dict[str, nn.Module] = {}
        inputs = channels
        for i in range(1, architecture.convolutions + 1):
            if i > 1:
                layers[f"activation{i - 1}"] = activation()
            if architecture.block == "separable":
                layers[f"depthwise{i}"] = nn.Conv2d(
                    inputs, inputs, kernel_size, padding=kernel_size // 2, groups=inputs, bias=False
                )
                layers[f"pointwise{i}"] = conv_norm(inputs, width, norm=norm)
            else:
                layers[f"conv{i}"] = conv_norm(inputs, width, kernel_size, norm=norm)
            inputs = width
        self.body = nn.Sequential(OrderedDict(layers))
        self.shortcut: nn.Module | None = None
        if architecture.block == "residual":
            same = channels == width
            self.shortcut = nn.Identity() if same else conv_norm(channels, width, norm=norm)
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        """Images of shape `(batch, channels, height, width)` to those of `width` channels."""
        y: Tensor = self.body(x)
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        y = self.activation(y)
        return y


def _down(architecture: UNetArchitecture, width: int) -> nn.Module:
    """Halves height and width, rounded up."""
    if architecture.down == "max":
        return nn.MaxPool2d(2, ceil_mode=True)
    norm, activation = architecture.norm, architecture.activation
    return conv_norm(width, width, 3, 2, norm=norm, activation=activation)
