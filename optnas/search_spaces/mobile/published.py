"""Mobile networks and search spaces as their papers define them.

Sources: MobileNetV2 (arXiv 1801.04381, table 2), MobileNetV3 (arXiv 1905.02244, table 1),
EfficientNet (arXiv 1905.11946, table 1), Once-for-all (arXiv 1908.09791), ProxylessNAS
(arXiv 1812.00332), NAS-Bench-Macro (Su et al., Prioritized architecture sampling with Monte-Carlo
tree search, CVPR 2021, arXiv 2103.11922). What the papers of Once-for-all and ProxylessNAS leave
open is as in their authors' code: widths, strides, activations and squeeze-and-excitation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from optnas.search_spaces.checks import check_positives
from optnas.search_spaces.mobile.architecture import MobileArchitecture, MobileBlock
from optnas.search_spaces.mobile.stage import MobileStage
from optnas.search_spaces.staged import (
    Shape,
    Size,
    check_strides,
    rounded,
    scaled_widths,
    strided,
    useful_kernel,
    useful_stride,
)


class Row(NamedTuple):
    """A stage of a published network: what its blocks share, and the expansion of each of them."""

    width: int
    stride: int
    kernel_size: int
    expansions: tuple[float, ...]
    squeeze_excitation: str = "none"
    activation: str = "relu"


MOBILENET_V2 = (
    Row(16, 1, 3, (1,)),
    Row(24, 2, 3, (6,) * 2),
    Row(32, 2, 3, (6,) * 3),
    Row(64, 2, 3, (6,) * 4),
    Row(96, 1, 3, (6,) * 3),
    Row(160, 2, 3, (6,) * 3),
    Row(320, 1, 3, (6,)),
)
MOBILENET_V3_LARGE = (
    Row(16, 1, 3, (1,)),
    Row(24, 2, 3, (4, 3)),
    Row(40, 2, 5, (3, 3, 3), "expanded"),
    Row(80, 2, 3, (6, 2.5, 2.3, 2.3), "none", "hard_swish"),
    Row(112, 1, 3, (6, 6), "expanded", "hard_swish"),
    Row(160, 2, 5, (6, 6, 6), "expanded", "hard_swish"),
)


def blocks_of(
    rows: Sequence[Row],
    input_shape: Shape,
    strides: Sequence[int] | None,
    width: float,
    activation: str | None = None,
) -> tuple[int, tuple[tuple[MobileBlock, ...], ...]]:
    """The stem's stride and the blocks of a published network, for images of some size.

    Args:
        rows: The stages.
        input_shape: `(channels, height, width)` of an image.
        strides: Those of the stem and of each stage; None takes the published ones.
        width: Multiplies all widths.
        activation: That of all blocks; None takes the rows'.

    Raises:
        ValueError: `strides` has another length, or a number isn't above 0.
    """
    check_positives("width", (width,))
    stem, *others = check_strides(strides, [2, *(row.stride for row in rows)])
    size: Size = (input_shape[1], input_shape[2])
    stem = useful_stride(stem, size)
    size = strided(size, stem)
    stages = []
    for row, stage_stride in zip(rows, others, strict=True):
        blocks = []
        for i, expansion in enumerate(row.expansions):
            stride = useful_stride(stage_stride, size) if i == 0 else 1
            block = MobileBlock(
                rounded(row.width, width),
                useful_kernel(row.kernel_size, size),
                expansion,
                stride,
                row.squeeze_excitation,
                activation or row.activation,
            )
            size = strided(size, stride)
            blocks.append(block)
        stages.append(tuple(blocks))
    return stem, tuple(stages)


def mobilenet_v2(
    input_shape: Shape, width: float, strides: Sequence[int] | None
) -> MobileArchitecture:
    """See `MobileSpace.mobilenet_v2`."""
    stem, stages = blocks_of(MOBILENET_V2, input_shape, strides, width, "relu6")
    return MobileArchitecture(
        rounded(32, width), stem, "relu6", stages, head_width=rounded(1280, max(1.0, width))
    )


def mobilenet_v3_large(
    input_shape: Shape, width: float, strides: Sequence[int] | None
) -> MobileArchitecture:
    """See `MobileSpace.mobilenet_v3_large`."""
    stem, stages = blocks_of(MOBILENET_V3_LARGE, input_shape, strides, width)
    return MobileArchitecture(
        rounded(16, width),
        stem,
        "hard_swish",
        stages,
        head_width=rounded(960, width),
        hidden_width=rounded(1280, width),
    )


def _elastic(
    width: int, stride: int, activation: str = "relu", squeeze: str = "none"
) -> MobileStage:
    """A stage of Once-for-all."""
    return MobileStage(
        (2, 4),
        (width,),
        (stride,),
        expansions=(3, 4, 6),
        squeeze_excitations=(squeeze,),
        activations=(activation,),
    )


def _fixed(
    width: int, stride: int, expansion: float, depth: int = 1, kernel_size: int = 3
) -> MobileStage:
    """A stage without choices, of EfficientNet."""
    return MobileStage(
        (depth, depth),
        (width,),
        (stride,),
        (kernel_size,),
        (expansion,),
        ("input",),
        ("silu",),
    )


def _proxyless(width: int, stride: int, deepest: int = 4) -> MobileStage:
    return MobileStage((1, deepest), (width,), (stride,), expansions=(3, 6), activations=("relu6",))


OFA_MBV3 = (
    MobileStage((1, 1), (16,), (1,), (3,), (1,)),
    _elastic(24, 2),
    _elastic(40, 2, "relu", "expanded"),
    _elastic(80, 2, "hard_swish"),
    _elastic(112, 1, "hard_swish", "expanded"),
    _elastic(160, 2, "hard_swish", "expanded"),
)
PROXYLESS = (
    MobileStage((1, 1), (16,), (1,), (3,), (1,), activations=("relu6",)),
    _proxyless(24, 2),
    _proxyless(40, 2),
    _proxyless(80, 2),
    _proxyless(96, 1),
    _proxyless(192, 2),
    _proxyless(320, 1, 1),
)
MNASNET = tuple(
    MobileStage(
        (max(1, len(row.expansions) - 1), len(row.expansions) + 1),
        scaled_widths(row.width, (0.75, 1, 1.25)),
        (row.stride,),
        (3, 5),
        (3, 6) if i else (1,),
        ("none", "input"),
        shared=("kernel_size", "expansion", "squeeze_excitation", "activation"),
    )
    for i, row in enumerate(MOBILENET_V2)
)
NASBENCH_MACRO = tuple(
    MobileStage((depth, depth), (width,), (2,), operations=("identity", "mb3_k3", "mb6_k5"))
    for depth, width in ((2, 64), (3, 128), (3, 256))
)
EFFICIENTNET_B0 = (
    _fixed(16, 1, 1),
    _fixed(24, 2, 6, depth=2),
    _fixed(40, 2, 6, depth=2, kernel_size=5),
    _fixed(80, 2, 6, depth=3),
    _fixed(112, 1, 6, depth=3, kernel_size=5),
    _fixed(192, 2, 6, depth=4, kernel_size=5),
    _fixed(320, 1, 6),
)


def with_strides(
    stages: Sequence[MobileStage], strides: Sequence[int] | None
) -> tuple[tuple[int, ...], tuple[MobileStage, ...]]:
    """The stem's strides and the stages, with other strides than the published ones (2 at first).

    Raises:
        ValueError: `strides` has another length than stem and stages.
    """
    published = [2, *(stage.strides[0] for stage in stages)]
    stem, *others = check_strides(strides, published)
    return (stem,), tuple(
        replace(stage, strides=(stride,)) for stage, stride in zip(stages, others, strict=True)
    )
