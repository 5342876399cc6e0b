"""U-Nets as records."""

from __future__ import annotations

from dataclasses import dataclass

from optnas.utils.checks import check_counts

BLOCKS = ("plain", "residual", "separable")
DOWNS = ("max", "conv")
UPS = ("transposed", "bilinear")
ATTENTIONS = ("none", "gate")


@dataclass(frozen=True)
class UNetArchitecture:
    """A U-Net. Its string has the widths of the levels, and what all of them share.

    Attributes:
        levels: The number of image sizes: the original U-Net has 5. A network of one level is a
            block and a head.
        width: Channels at the first level.
        width_multiplier: Channels of a level, as a multiple of those of the level above; rounded
            to whole numbers. 1 where there is one level.
        kernel_size: Of the blocks' convolutions.
        convolutions: The number of convolutions in a block.
        block: `plain`, `residual` or `separable`.
        norm: `none`, `batch` or `group`.
        activation: Its name.
        down: `max` (2×2 max pooling) or `conv` (a 3×3 convolution of stride 2).
        up: `transposed` (a 2×2 transposed convolution of stride 2) or `bilinear` (interpolation
            and a 1×1 convolution).
        attention: `none`, or `gate` for attention gates on the skip connections.

    Raises:
        ValueError: A network of one level has a setting that only others use.
    """

    levels: int
    width: int
    width_multiplier: float = 2.0
    kernel_size: int = 3
    convolutions: int = 2
    block: str = "plain"
    norm: str = "batch"
    activation: str = "relu"
    down: str = "max"
    up: str = "transposed"
    attention: str = "none"

    def __post_init__(self) -> None:
        check_counts(levels=self.levels, width=self.width)
        between = (self.width_multiplier, self.down, self.up, self.attention)
        if self.levels == 1 and between != SINGLE:
            raise ValueError(
                f"a U-Net of one level must have {', '.join(NAMES)} = {SINGLE}, because nothing "
                f"uses them, so that it has one record only; got {between}"
            )

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, from the full image to the smallest one."""
        return tuple(scaled(self.width, self.width_multiplier, i) for i in range(self.levels))

    def __str__(self) -> str:
        widths = "-".join(map(str, self.widths))
        text = (
            f"unet {widths} | {self.convolutions}×{self.block} k{self.kernel_size} "
            f"{self.norm} {self.activation}"
        )
        if self.levels == 1:
            return text
        # Rounded widths may be equal, but the text of a multiplier tells any two apart.
        gates = " gates" if self.attention == "gate" else ""
        return f"{text} | ×{self.width_multiplier:g} {self.down}-{self.up}{gates}"


NAMES = ("width_multiplier", "down", "up", "attention")
SINGLE = (1.0, DOWNS[0], UPS[0], ATTENTIONS[0])
"""Those settings of a network of one level, which has nothing between levels."""


def scaled(width: int, multiplier: float, below: int) -> int:
    """The channels some levels below the first one."""
    return max(1, int(width * multiplier**below + 0.5))
