"""What search spaces of staged networks share: choices, image sizes, rounded widths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from optuna.trial import BaseTrial

from optnas.search_spaces.checks import check_shape

Value = TypeVar("Value", int, float, str, bool)
Shape = tuple[int, int, int]
"""Channels, height and width of an image."""
IMAGENET: Shape = (3, 224, 224)
Size = tuple[int, int]
"""Height and width of the images at some place in a network."""


def choose(trial: BaseTrial, name: str, choices: Sequence[Value]) -> Value:
    """Draws one of the choices; a single one is no parameter."""
    if len(choices) == 1:
        return choices[0]
    value: Value = trial.suggest_categorical(name, choices)
    return value


def choose_stride(trial: BaseTrial, name: str, strides: Sequence[int], size: Size) -> int:
    """Draws a stride; a single pixel can't be strided."""
    return choose(trial, name, strides) if max(size) > 1 else 1


def choose_kernel(trial: BaseTrial, name: str, kernel_sizes: Sequence[int], size: Size) -> int:
    """Draws one of the consecutive odd kernel sizes, among those that the image has a use for."""
    smallest, largest = (useful_kernel(k, size) for k in (kernel_sizes[0], kernel_sizes[-1]))
    if smallest == largest:
        return smallest
    return trial.suggest_int(name, smallest, largest, step=2)


def choose_depth(trial: BaseTrial, name: str, low: int, high: int) -> int:
    """Draws a number of blocks."""
    return low if low == high else trial.suggest_int(name, low, high)


def choose_dropout(trial: BaseTrial, name: str, bounds: tuple[float, float], step: float) -> float:
    """Draws a dropout probability."""
    low, high = bounds
    return low if low == high else round(trial.suggest_float(name, low, high, step=step), 6)


def useful_kernel(kernel_size: int, size: Size) -> int:
    """The kernel size, or the largest of which no outer ring lies beyond the image everywhere."""
    # A kernel of 2·size - 1 reaches from one edge of the image to the other.
    return min(kernel_size, 2 * max(size) - 1)


def useful_stride(stride: int, size: Size) -> int:
    """The stride, or 1 on a single pixel."""
    return stride if max(size) > 1 else 1


def strided(size: Size, stride: int) -> Size:
    """The size after a padded convolution or pooling with this stride."""
    return -(-size[0] // stride), -(-size[1] // stride)


def rounded(width: int, multiplier: float = 1.0) -> int:
    """A multiple of 8 near `multiplier · width`, by the rule of MobileNetV2's authors.

    It is at least 8, and at least 0.9 times the product. With the multiplier 1 the width stays, and
    0 stays 0.
    """
    if multiplier == 1 or width == 0:
        return width
    product = width * multiplier
    nearest = max(8, int(product + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * product else nearest + 8


def repeated(depth: int, multiplier: float) -> int:
    """The number of blocks `multiplier · depth`, rounded up as in EfficientNet."""
    return math.ceil(round(depth * multiplier, 6))


def scaled_widths(width: int, multipliers: Sequence[float]) -> tuple[int, ...]:
    """The different widths that the multipliers give, in their order."""
    return tuple(dict.fromkeys(rounded(width, multiplier) for multiplier in multipliers))


def check_strides(strides: Sequence[int] | None, published: Sequence[int]) -> Sequence[int]:
    """The given strides, or the published ones.

    Raises:
        ValueError: Their numbers differ, or they are no strides.
    """
    if strides is not None and len(strides) != len(published):
        raise ValueError(
            f"strides must be {len(published)} whole numbers, for the stem and each of the "
            f"{len(published) - 1} stages, such as {tuple(published)}; got {strides}"
        )
    if strides is None:
        return published
    check_shape("strides", tuple(strides))
    return strides
