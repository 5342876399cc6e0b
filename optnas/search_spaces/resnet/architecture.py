"""Residual networks as records: the stem, and the blocks of each stage."""

from __future__ import annotations

from dataclasses import dataclass

from optnas.search_spaces.checks import check_last

BLOCK_TYPES = ("basic", "bottleneck")
EXPANSION = 4
"""Output channels of a bottleneck block, as a multiple of its width."""


@dataclass(frozen=True)
class ResNetBlocks:
    """The blocks of a stage, which are equal but for the stride.

    Attributes:
        depth: The number of blocks.
        width: Output channels of a basic block, and a quarter of those of a bottleneck block.
        stride: That of the first block.
        block: `basic` (two 3×3 convolutions) or `bottleneck` (1×1, 3×3, 1×1).
        inner_multiplier: Channels of a bottleneck block's 3×3 convolution, as a multiple of its
            width; 1 for a basic block.
        groups: Those of a bottleneck block's 3×3 convolution; 1 for a basic block.
    """

    depth: int
    width: int
    stride: int = 1
    block: str = "basic"
    inner_multiplier: int = 1
    groups: int = 1

    @property
    def channels(self) -> int:
        """Output channels of each block."""
        return self.width if self.block == "basic" else EXPANSION * self.width

    @property
    def inner(self) -> int:
        """Channels of a bottleneck block's 3×3 convolution."""
        return self.width * self.inner_multiplier

    def __str__(self) -> str:
        stride = f"/{self.stride}" if self.stride > 1 else ""
        text = f"{self.depth}×{self.block} {self.channels}{stride}"
        if self.block == "bottleneck":
            text += f" inner{self.inner}"
        return text + (f" groups{self.groups}" if self.groups > 1 else "")


@dataclass(frozen=True)
class ResNetArchitecture:
    """A residual network. Its string has the stem and each stage (`-` for an empty one).

    Attributes:
        stem_width: Output channels of the first convolution.
        stem_kernel_size: Its kernel size.
        stem_stride: Its stride.
        stem_pool: Whether a 3×3 max pooling of stride 2 follows it.
        stages: The blocks of each stage. Stages may be empty (None), but not the last one.

    Raises:
        ValueError: The last stage is empty.
    """

    stem_width: int
    stem_kernel_size: int
    stem_stride: int
    stem_pool: bool
    stages: tuple[ResNetBlocks | None, ...]

    def __post_init__(self) -> None:
        check_last(self.stages)

    def __str__(self) -> str:
        stride = f"/{self.stem_stride}" if self.stem_stride > 1 else ""
        pool = "+pool" if self.stem_pool else ""
        stem = f"stem{self.stem_width}-k{self.stem_kernel_size}{stride}{pool}"
        return " | ".join([stem, *(str(blocks or "-") for blocks in self.stages)])
