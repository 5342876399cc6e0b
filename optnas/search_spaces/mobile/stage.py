"""The choices for one stage of a mobile network."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from optuna.trial import BaseTrial

from optnas.search_spaces.checks import (
    check_activations,
    check_choices,
    check_kernel_sizes,
    check_names,
    check_positives,
    check_range,
    check_sizes,
)
from optnas.search_spaces.mobile.architecture import IDENTITY, SQUEEZE_EXCITATIONS, MobileBlock
from optnas.search_spaces.staged import (
    Size,
    choose,
    choose_depth,
    choose_kernel,
    choose_stride,
    repeated,
    rounded,
    strided,
    useful_kernel,
)

BLOCK_SETTINGS = ("kernel_size", "expansion", "operation", "squeeze_excitation", "activation")
"""The settings that each block of a stage has for itself, or that all of them share."""
_OPERATION = re.compile(r"mb(\d+(?:\.\d*[1-9])?)_k(\d+)")


@dataclass(frozen=True)
class MobileStage:
    """The choices for one stage of a `MobileSpace`: blocks of one width at one image size.

    A setting with one value is fixed, and no parameter.

    Example:
        ```python
        import optnas
        from optnas.search_spaces import MobileStage

        stages = (
            MobileStage(depth=(1, 2), widths=(8, 16), strides=(2,), expansions=(1, 3)),
            MobileStage(depth=(0, 3), widths=(16, 24, 32), strides=(1, 2)),
        )
        space = optnas.MobileSpace((1, 28, 28), 10, stages)
        ```

    Attributes:
        depth: The least and greatest number of blocks; a stage without blocks is left out.
        widths: The choices for the output channels of its blocks.
        strides: The choices for the stride of its first block; the others have stride 1.
        kernel_sizes: The choices for a block's kernel size: odd, in steps of 2.
        expansions: The choices for a block's expansion, each at least 1.
        squeeze_excitations: The choices for a block's squeeze-and-excitation: `none`, `expanded` (a
            quarter of the expanded channels, as in MobileNetV3) or `input` (a quarter of the
            block's input channels, as in MnasNet and EfficientNet).
        activations: Names such as `relu`, `relu6`, `hard_swish` and `silu`.
        operations: The choices for a block's kernel size and expansion together, such as `mb6_k5`,
            or `identity`; they take the place of `kernel_sizes` and `expansions`.
        shared: The settings that all blocks of the stage share, among `kernel_size`, `expansion`,
            `operation`, `squeeze_excitation` and `activation`.

    Raises:
        ValueError: A setting is out of range, or its name unknown.
    """

    depth: tuple[int, int]
    widths: tuple[int, ...]
    strides: tuple[int, ...] = (1,)
    kernel_sizes: tuple[int, ...] = (3, 5, 7)
    expansions: tuple[float, ...] = (3, 4, 6)
    squeeze_excitations: tuple[str, ...] = ("none",)
    activations: tuple[str, ...] = ("relu",)
    operations: tuple[str, ...] = ()
    shared: tuple[str, ...] = ("squeeze_excitation", "activation")

    def __post_init__(self) -> None:
        check_range("depth", self.depth, 0)
        check_sizes("widths", self.widths)
        check_sizes("strides", self.strides)
        check_kernel_sizes(self.kernel_sizes)
        check_positives("expansions", self.expansions, 1)
        check_names("squeeze_excitations", self.squeeze_excitations, SQUEEZE_EXCITATIONS)
        check_activations(self.activations)
        check_choices("operations", self.operations)
        for operation in self.operations:
            _parsed(operation)
        if self.shared:
            check_names("shared", self.shared, BLOCK_SETTINGS)

    def depths(self, multiplier: float) -> tuple[int, int]:
        """The range of the number of blocks, scaled."""
        low, high = self.depth
        return repeated(low, multiplier), repeated(high, multiplier)

    def suggest(
        self, trial: BaseTrial, name: str, size: Size, *, deep: float, wide: float
    ) -> tuple[MobileBlock, ...]:
        """Draws the blocks of the stage.

        Args:
            trial: Draws the parameters.
            name: The stage's, which all of its parameters begin with.
            size: Height and width of the images that enter the stage.
            deep: Multiplies the depth.
            wide: Multiplies the width.
        """
        depth = choose_depth(trial, f"{name}.depth", *self.depths(deep))
        if depth == 0:
            return ()
        width = rounded(choose(trial, f"{name}.width", self.widths), wide)
        stride = choose_stride(trial, f"{name}.stride", self.strides, size)
        blocks = []
        image = size
        for i in range(1, depth + 1):
            own = stride if i == 1 else 1
            blocks.append(self._suggest_block(trial, name, i, width, own, size, image))
            image = strided(image, own)
        return tuple(blocks)

    def _suggest_block(
        self, trial: BaseTrial, stage: str, i: int, width: int, stride: int, size: Size, image: Size
    ) -> MobileBlock:
        """Draws a block's settings; a shared one is drawn once, with its first block."""

        def named(setting: str) -> str:
            return f"{stage}.{'' if setting in self.shared else f'block{i}.'}{setting}"

        expansion: float
        if self.operations:
            operation = choose(trial, named("operation"), self.operations)
            if operation == IDENTITY:
                return MobileBlock.identity(width, stride)
            expansion, kernel_size = _parsed(operation)
        else:
            around = size if "kernel_size" in self.shared else image
            drawn = choose_kernel(trial, named("kernel_size"), self.kernel_sizes, around)
            kernel_size = useful_kernel(drawn, image)
            expansion = choose(trial, named("expansion"), self.expansions)
        return MobileBlock(
            width,
            kernel_size,
            expansion,
            stride,
            choose(trial, named("squeeze_excitation"), self.squeeze_excitations),
            choose(trial, named("activation"), self.activations),
        )


def _parsed(operation: str) -> tuple[float, int]:
    """Expansion and kernel size of an operation; 0 and 1 for the identity."""
    if operation == IDENTITY:
        return 0, 1
    found = _OPERATION.fullmatch(operation)
    if found is None:
        raise ValueError(f"operations must be identity or such as mb6_k3, got {operation!r}")
    expansion, kernel_size = float(found[1]), int(found[2])
    check_kernel_sizes((kernel_size,))
    if expansion < 1:
        raise ValueError(f"the expansion of {operation!r} must be at least 1")
    return expansion, kernel_size


def block_settings(name: str, blocks: tuple[MobileBlock, ...]) -> dict[str, Any]:
    """The settings of a stage and its blocks, by the names that their parameters have."""
    settings: dict[str, Any] = {f"{name}.depth": len(blocks)}
    if not blocks:
        return settings
    settings |= {f"{name}.width": blocks[0].width, f"{name}.stride": blocks[0].stride}
    # What blocks share, the first one that isn't the identity shows. Its image is the largest.
    first = next((block for block in blocks if not block.is_identity), blocks[0])
    settings |= {f"{name}.{setting}": getattr(first, setting) for setting in BLOCK_SETTINGS}
    for i, block in enumerate(blocks, 1):
        own = (*BLOCK_SETTINGS, "width", "stride")
        settings |= {f"{name}.block{i}.{setting}": getattr(block, setting) for setting in own}
    return settings
