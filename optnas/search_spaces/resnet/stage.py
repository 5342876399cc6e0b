"""The choices for one stage of a residual network."""

from __future__ import annotations

from dataclasses import dataclass

from optuna.trial import BaseTrial

from optnas.search_spaces.checks import check_names, check_range, check_sizes
from optnas.search_spaces.resnet.architecture import BLOCK_TYPES, ResNetBlocks
from optnas.search_spaces.staged import Size, choose, choose_depth, choose_stride


@dataclass(frozen=True)
class ResNetStage:
    """The choices for one stage of a `ResNetSpace`: equal blocks at one image size.

    A setting with one value is fixed, and no parameter.

    Example:
        ```python
        import optnas
        from optnas.search_spaces import ResNetStage

        stages = (
            ResNetStage(depth=(1, 3), widths=(16, 32), strides=(1, 2)),
            ResNetStage(depth=(0, 2), widths=(32,), strides=(2,), blocks=("bottleneck",)),
        )
        space = optnas.ResNetSpace((3, 32, 32), 10, stages)
        ```

    Attributes:
        depth: The least and greatest number of blocks; a stage without blocks is left out.
        widths: The choices for the width: output channels of basic blocks, and a quarter of those
            of bottleneck blocks.
        strides: The choices for the stride of the first block; the others have stride 1.
        blocks: The choices for the kind of block: `basic` (two 3×3 convolutions) or `bottleneck`
            (1×1, 3×3, 1×1).
        inner_multipliers: The choices for the channels of a bottleneck block's 3×3 convolution, as
            a multiple of the width: 1 in ResNet, 2 in ResNeXt.
        groups: The choices for the groups of a bottleneck block's 3×3 convolution: 1 in ResNet, 32
            in ResNeXt.

    Raises:
        ValueError: A setting is out of range, or groups divide no width.
    """

    depth: tuple[int, int]
    widths: tuple[int, ...]
    strides: tuple[int, ...] = (1,)
    blocks: tuple[str, ...] = ("basic",)
    inner_multipliers: tuple[int, ...] = (1,)
    groups: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        check_range("depth", self.depth, 0)
        check_sizes("widths", self.widths)
        check_sizes("strides", self.strides)
        check_names("blocks", self.blocks, BLOCK_TYPES)
        check_sizes("inner_multipliers", self.inner_multipliers)
        check_sizes("groups", self.groups)
        for width in self.widths:
            for inner in (width * multiplier for multiplier in self.inner_multipliers):
                odd = [groups for groups in self.groups if inner % groups]
                if odd:
                    raise ValueError(
                        f"groups must divide a bottleneck block's inner channels, but {odd[0]} "
                        f"doesn't divide {inner}: take other widths or groups"
                    )

    def suggest(self, trial: BaseTrial, name: str, size: Size) -> ResNetBlocks | None:
        """Draws the stage, whose parameters begin with `name`, for images of a size."""
        depth = choose_depth(trial, f"{name}.depth", *self.depth)
        if depth == 0:
            return None
        width = choose(trial, f"{name}.width", self.widths)
        stride = choose_stride(trial, f"{name}.stride", self.strides, size)
        block = choose(trial, f"{name}.block", self.blocks)
        if block == "basic":
            return ResNetBlocks(depth, width, stride)
        inner = choose(trial, f"{name}.inner_multiplier", self.inner_multipliers)
        groups = choose(trial, f"{name}.groups", self.groups)
        return ResNetBlocks(depth, width, stride, block, inner, groups)
