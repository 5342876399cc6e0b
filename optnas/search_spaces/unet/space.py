"""U-Nets: an encoder, a decoder, and skip connections between them.

Sources: Ronneberger et al., U-Net: convolutional networks for biomedical image segmentation, MICCAI
2015 (arXiv 1505.04597); Oktay et al., Attention U-Net: learning where to look for the pancreas,
MIDL 2018 (arXiv 1804.03999).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from optuna.trial import BaseTrial
from torch import Tensor, nn

from optnas.search_spaces.abilities import Encodable
from optnas.search_spaces.base import SearchSpace, random_example
from optnas.search_spaces.checks import (
    check_activations,
    check_image_shape,
    check_kernel_sizes,
    check_names,
    check_positives,
    check_range,
    check_sizes,
)
from optnas.search_spaces.conv_norm import NORMS
from optnas.search_spaces.encoding import encode
from optnas.search_spaces.multipliers import check_multipliers
from optnas.search_spaces.staged import Shape, Size, choose, choose_depth, choose_kernel, strided
from optnas.search_spaces.unet.architecture import (
    ATTENTIONS,
    BLOCKS,
    DOWNS,
    SINGLE,
    UPS,
    UNetArchitecture,
    scaled,
)
from optnas.search_spaces.unet.layers import UNet
from optnas.utils.checks import check_counts


@dataclass(frozen=True)
class UNetSpace(SearchSpace[UNetArchitecture], Encodable[UNetArchitecture]):
    """U-Nets, which give a class for each pixel: an encoder, a decoder, and skip connections.

    The encoder halves height and width from level to level, rounded up, and the decoder enlarges
    them again. At each level it takes what the encoder had there, too. Images may have any size; a
    single pixel isn't halved, so small images limit the number of levels. Outputs have the shape
    `(batch, outputs, height, width)`: a logit for each class and pixel.

    Parameters: `levels`, `width`, `kernel_size`, `convolutions`, `block`, `norm`, `activation`, and
    for networks of two levels or more `width_multiplier`, `down`, `up` and `attention`. A setting
    with one value is no parameter. All levels share what is drawn, but for a kernel that is larger
    than a level has a use for.

    `small` makes a space for small images; `unet` gives the architecture of the original U-Net, or
    a narrower one like it.

    Example:
        ```python
        import optnas

        space = optnas.UNetSpace.small((1, 32, 32), outputs=4)
        unet = optnas.UNetSpace.unet((1, 32, 32), width=8, levels=3, norm="batch")
        params = space.params_of(unet)
        ```

    Attributes:
        input_shape: `(channels, height, width)` of one image.
        outputs: The number of classes.
        levels: The least and greatest number of image sizes; the original U-Net has 5.
        widths: The choices for the channels at the first level, at least 2 each.
        width_multipliers: The choices for the channels of a level, as a multiple of those of the
            level above; at least 1.
        kernel_sizes: The choices for the kernel of the blocks: odd, in steps of 2.
        convolutions: The least and greatest number of convolutions in a block.
        blocks: The choices for the blocks: `plain`; `residual`, with a shortcut; `separable`, whose
            convolutions are a depthwise and a 1×1 one.
        norms: The choices for the normalisation: `none`, `batch`, or `group` (Wu and He, arXiv
            1803.08494; up to 8 groups, of 2 channels or more where the width can be divided so).
        activations: Names among `relu`, `relu6`, `leaky_relu`, `tanh`, `gelu`, `silu` and
            `hard_swish`.
        downs: The choices for halving: `max` (2×2 max pooling) or `conv` (a 3×3 convolution of
            stride 2).
        ups: The choices for enlarging: `transposed` (a 2×2 transposed convolution of stride 2,
            cropped at odd sizes) or `bilinear` (interpolation, then a 1×1 convolution).
        attentions: The choices for the skip connections: `none`, or `gate` for attention gates.

    Raises:
        ValueError: A setting is out of range, or two multipliers give the same second level.
    """

    input_shape: Shape
    outputs: int
    levels: tuple[int, int] = (1, 5)
    widths: tuple[int, ...] = (8, 16, 32, 64)
    width_multipliers: tuple[float, ...] = (2.0,)
    kernel_sizes: tuple[int, ...] = (3,)
    convolutions: tuple[int, int] = (2, 2)
    blocks: tuple[str, ...] = ("plain",)
    norms: tuple[str, ...] = ("batch",)
    activations: tuple[str, ...] = ("relu",)
    downs: tuple[str, ...] = ("max",)
    ups: tuple[str, ...] = ("transposed",)
    attentions: tuple[str, ...] = ("none",)

    def __post_init__(self) -> None:
        check_image_shape(self.input_shape)
        check_counts(outputs=self.outputs)
        check_range("levels", self.levels, 1)
        check_sizes("widths", self.widths, 2)
        check_kernel_sizes(self.kernel_sizes)
        check_range("convolutions", self.convolutions, 1)
        check_names("blocks", self.blocks, BLOCKS)
        check_names("norms", self.norms, list(NORMS))
        check_activations(self.activations)
        check_names("downs", self.downs, DOWNS)
        check_names("ups", self.ups, UPS)
        check_names("attentions", self.attentions, ATTENTIONS)
        check_positives("width_multipliers", self.width_multipliers, 1)
        for width in self.widths:
            check_multipliers(
                "width_multipliers",
                self.width_multipliers,
                ((width,),),
                partial(_second, width),
            )

    @property
    def example_inputs(self) -> Tensor:
        """A tensor of shape `(1, channels, height, width)`."""
        return random_example(*self.input_shape)

    def suggest(self, trial: BaseTrial) -> UNetArchitecture:
        """Draws the number of levels, then what all of them share."""
        size: Size = self.input_shape[1:]
        most = deepest(size)
        levels = choose_depth(trial, "levels", *(min(bound, most) for bound in self.levels))
        width = choose(trial, "width", self.widths)
        multiplier, down, up, attention = SINGLE
        if levels > 1:
            multiplier = choose(trial, "width_multiplier", self.width_multipliers)
        kernel_size = choose_kernel(trial, "kernel_size", self.kernel_sizes, size)
        convolutions = choose_depth(trial, "convolutions", *self.convolutions)
        block = choose(trial, "block", self.blocks)
        norm = choose(trial, "norm", self.norms)
        activation = choose(trial, "activation", self.activations)
        if levels > 1:
            down = choose(trial, "down", self.downs)
            up = choose(trial, "up", self.ups)
            attention = choose(trial, "attention", self.attentions)
        return UNetArchitecture(
            levels,
            width,
            multiplier,
            kernel_size,
            convolutions,
            block,
            norm,
            activation,
            down,
            up,
            attention,
        )

    def build(self, architecture: UNetArchitecture) -> nn.Module:
        """Makes the network.

        Its layers are called `encoder1`, `down1`, `encoder2`, …, `up1`, `gate1`, `decoder1`, …, and
        `head`.
        """
        channels, height, width = self.input_shape
        return UNet(architecture, channels, self.outputs, (height, width))

    def params_of(self, architecture: UNetArchitecture) -> dict[str, Any]:
        """See `Encodable`."""
        return encode(self.suggest, architecture, asdict)

    @classmethod
    def small(cls, input_shape: Shape, outputs: int) -> UNetSpace:
        """Narrow networks of two to four levels, for images of 16 to 64 pixels."""
        return cls(
            input_shape,
            outputs,
            levels=(2, 4),
            widths=(4, 8, 16, 24),
            width_multipliers=(1.0, 1.5, 2.0),
            kernel_sizes=(3, 5),
            convolutions=(1, 2),
            blocks=BLOCKS,
            norms=("batch", "group"),
            activations=("relu", "silu"),
            downs=DOWNS,
            ups=UPS,
            attentions=ATTENTIONS,
        )

    @staticmethod
    def unet(
        input_shape: Shape = (1, 572, 572), *, width: int = 64, levels: int = 5, norm: str = "none"
    ) -> UNetArchitecture:
        """The original U-Net, an architecture for `build`; but its convolutions are padded.

        Args:
            input_shape: `(channels, height, width)` of one image.
            width: Channels at the first level; each further level doubles them.
            levels: The number of levels, as far as the image can be halved.
            norm: `none` as in the paper, `batch` or `group`.
        """
        levels = min(levels, deepest(input_shape[1:]))
        multiplier = 2.0 if levels > 1 else SINGLE[0]
        return UNetArchitecture(levels, width, multiplier, norm=norm)


def _second(width: int, multiplier: float) -> tuple[int]:
    return (scaled(width, multiplier, 1),)


def deepest(size: Size) -> int:
    """The number of image sizes down to a single pixel, where each is half of the one before."""
    levels = 1
    while max(size) > 1:
        size, levels = strided(size, 2), levels + 1
    return levels
