"""The settings of mobile spaces with the ranges of papers, and of smaller ones.

`MobileSpace` has a class method for each, which explains the arguments.
"""

from __future__ import annotations

from collections.abc import Sequence

from optnas.search_spaces.mobile import published
from optnas.search_spaces.mobile.architecture import MobileArchitecture, MobileBlock
from optnas.search_spaces.mobile.settings import MobileSettings
from optnas.search_spaces.mobile.stage import MobileStage
from optnas.search_spaces.staged import Shape, scaled_widths

SMALL_WIDTHS = ((8, 12, 16, 24), (12, 16, 24, 32), (16, 24, 32, 48), (24, 32, 48, 64, 96))


def small(input_shape: Shape, outputs: int, depth: tuple[int, int], stages: int) -> MobileSettings:
    """See `MobileSpace.small`."""
    if not 1 <= stages <= len(SMALL_WIDTHS):
        raise ValueError(f"stages must be from 1 to {len(SMALL_WIDTHS)}, got {stages}")
    return MobileSettings(
        input_shape,
        outputs,
        tuple(
            MobileStage(
                depth,
                widths,
                strides=(1, 2),
                kernel_sizes=(3, 5),
                expansions=(1, 2, 3, 4, 6),
                squeeze_excitations=("none", "expanded"),
                activations=("relu", "hard_swish"),
            )
            for widths in SMALL_WIDTHS[:stages]
        ),
        stem_widths=(4, 8, 16, 24),
        stem_strides=(1, 2),
        head_widths=(0, 64, 128, 256),
    )


def around(
    architecture: MobileArchitecture,
    input_shape: Shape,
    outputs: int,
    *,
    fewest_blocks: int,
    widths: Sequence[float],
    kernel_sizes: Sequence[int],
    expansions: Sequence[float],
    squeeze_excitations: Sequence[str],
) -> MobileSettings:
    """See `MobileSpace.around`."""
    multipliers = sorted({1.0, *widths})

    def stage_around(blocks: Sequence[MobileBlock]) -> MobileStage:
        if not blocks:
            return MobileStage((0, 0), (1,))
        kernels = {block.kernel_size for block in blocks} | set(kernel_sizes)
        squeezes = [*(block.squeeze_excitation for block in blocks), *squeeze_excitations]
        return MobileStage(
            (min(fewest_blocks, len(blocks)), len(blocks)),
            scaled_widths(blocks[0].width, multipliers),
            (blocks[0].stride,),
            tuple(range(min(kernels), max(kernels) + 1, 2)),
            tuple(sorted({block.expansion for block in blocks} | set(expansions))),
            tuple(dict.fromkeys(squeezes)),
            tuple(dict.fromkeys(block.activation for block in blocks)),
        )

    return MobileSettings(
        input_shape,
        outputs,
        tuple(map(stage_around, architecture.stages)),
        stem_widths=scaled_widths(architecture.stem_width, multipliers),
        stem_strides=(architecture.stem_stride,),
        activations=(architecture.activation,),
        head_widths=scaled_widths(architecture.head_width, multipliers),
        hidden_widths=scaled_widths(architecture.hidden_width, multipliers),
        resolutions=() if architecture.resolution is None else (architecture.resolution,),
    )


def ofa_mbv3(
    input_shape: Shape,
    outputs: int,
    strides: Sequence[int] | None,
    resolutions: tuple[int, ...],
) -> MobileSettings:
    """See `MobileSpace.ofa_mbv3`."""
    stem_strides, stages = published.with_strides(published.OFA_MBV3, strides)
    return MobileSettings(
        input_shape,
        outputs,
        stages,
        stem_widths=(16,),
        stem_strides=stem_strides,
        activations=("hard_swish",),
        head_widths=(960,),
        hidden_widths=(1280,),
        resolutions=resolutions,
    )


def proxyless(input_shape: Shape, outputs: int, strides: Sequence[int] | None) -> MobileSettings:
    """See `MobileSpace.proxyless`."""
    stem_strides, stages = published.with_strides(published.PROXYLESS, strides)
    return MobileSettings(
        input_shape,
        outputs,
        stages,
        stem_widths=(32,),
        stem_strides=stem_strides,
        activations=("relu6",),
        head_widths=(1280,),
    )


def mnasnet(input_shape: Shape, outputs: int, strides: Sequence[int] | None) -> MobileSettings:
    """See `MobileSpace.mnasnet`."""
    stem_strides, stages = published.with_strides(published.MNASNET, strides)
    return MobileSettings(
        input_shape,
        outputs,
        stages,
        stem_widths=(32,),
        stem_strides=stem_strides,
        head_widths=(1280,),
    )


def nasbench_macro(input_shape: Shape, outputs: int) -> MobileSettings:
    """See `MobileSpace.nasbench_macro`."""
    return MobileSettings(
        input_shape, outputs, published.NASBENCH_MACRO, stem_widths=(32,), head_widths=(1280,)
    )


def efficientnet(
    input_shape: Shape,
    outputs: int,
    coefficients: Sequence[int],
    bases: tuple[float, float, float],
    strides: Sequence[int] | None,
) -> MobileSettings:
    """See `MobileSpace.efficientnet`; the bases are alpha, beta and gamma."""
    stem_strides, stages = published.with_strides(published.EFFICIENTNET_B0, strides)
    alpha, beta, gamma = bases
    return MobileSettings(
        input_shape,
        outputs,
        stages,
        stem_widths=(32,),
        stem_strides=stem_strides,
        activations=("silu",),
        head_widths=(1280,),
        resolutions=tuple(round(input_shape[1] * gamma**n) for n in coefficients),
        width_multipliers=tuple(round(beta**n, 6) for n in coefficients),
        depth_multipliers=tuple(round(alpha**n, 6) for n in coefficients),
    )
