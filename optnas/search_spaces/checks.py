"""Checks of the settings that search spaces share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import cast

from optnas.search_spaces.base import ACTIVATIONS
from optnas.utils.distributions import check_choices as check_different


def check_range(
    name: str, bounds: tuple[float, float], lowest: float, *, whole: bool = True
) -> None:
    """Raises ValueError unless `lowest <= bounds[0] <= bounds[1]`, whole numbers by default."""
    try:
        low, high = bounds
        kind = Integral if whole else Real
        fits = isinstance(low, kind) and isinstance(high, kind) and lowest <= low <= high
    except (TypeError, ValueError):
        fits = False
    if not fits:
        one = isinstance(bounds, Real)
        numbers = "whole numbers " * whole
        raise ValueError(
            f"{name} must be {numbers}(low, high) with {lowest:g} <= low <= high, got {bounds!r}"
            + (f": give ({bounds}, {bounds}) for one value" if one else "")
        )


def check_choices(name: str, choices: object) -> None:
    """Raises ValueError unless there are different choices, or one in a tuple."""
    check_tuple(name, choices)
    check_different(name, cast(Iterable[object], choices))


def check_tuple(name: str, choices: object) -> None:
    """Raises ValueError unless there are several values, or one in a tuple."""
    if isinstance(choices, str) or not isinstance(choices, Iterable):
        raise ValueError(
            f"{name} must be a tuple, got {choices!r}: give ({choices!r},) for one alone"
        )


def check_positives(name: str, numbers: Sequence[float], lowest: float = 0.0) -> None:
    """Raises ValueError unless there are finite numbers above 0, and of at least `lowest`."""
    check_choices(name, numbers)
    if not numbers or not all(
        isinstance(x, Real) and 0 < x < math.inf and x >= lowest for x in numbers
    ):
        bound = f"of at least {lowest:g}" if lowest else "above 0"
        raise ValueError(f"{name} must be numbers {bound}, got {numbers}")


def check_step(name: str, bounds: tuple[float, float], step: float) -> None:
    """Raises ValueError unless steps from the least value lead to the greatest one.

    Optuna would lower the greatest one, and only warn.
    """
    low, high = bounds
    steps = (high - low) / step
    if abs(steps - round(steps)) > 1e-6:
        last = low + int(steps) * step
        raise ValueError(
            f"{name} {bounds} with {name}_step {step:g} would end at {last:g}: give another "
            f"{name}_step, or another range"
        )


def check_sizes(name: str, sizes: tuple[int, ...], lowest: int = 1) -> None:
    """Raises ValueError unless there are different sizes, whole numbers of at least `lowest`."""
    check_shape(name, sizes, lowest)
    check_choices(name, sizes)


def check_shape(name: str, sizes: tuple[int, ...], lowest: int = 1) -> None:
    """Raises ValueError unless there are sizes, all of them whole numbers of at least `lowest`.

    They are no choices, so they may be equal.
    """
    check_tuple(name, sizes)
    if not sizes or not all(isinstance(size, int) and size >= lowest for size in sizes):
        raise ValueError(f"{name} must be whole numbers of at least {lowest}, got {sizes}")


def check_kernel_sizes(sizes: tuple[int, ...], name: str = "kernel_sizes") -> None:
    """Raises ValueError unless the sizes are odd numbers in steps of 2."""
    check_sizes(name, sizes)
    if sizes[0] % 2 == 0 or sizes != tuple(range(sizes[0], sizes[-1] + 1, 2)):
        raise ValueError(f"{name} must be odd and rise in steps of 2, got {sizes}")


def check_booleans(setting: str, values: tuple[bool, ...]) -> None:
    """Raises ValueError unless there are values, each of them False or True."""
    check_choices(setting, values)
    if not values or not all(isinstance(value, bool) for value in values):
        raise ValueError(f"{setting} must be False, True or both, got {values}")


def check_names(setting: str, names: tuple[str, ...], known: Sequence[str]) -> None:
    """Raises ValueError unless there are names, all of them known."""
    check_choices(setting, names)
    if not names or not set(names) <= set(known):
        raise ValueError(f"{setting} must be among {', '.join(known)}, got {names}")


def check_activations(names: tuple[str, ...]) -> None:
    """Raises ValueError unless there are names, all of them of known activations."""
    check_names("activations", names, list(ACTIVATIONS))


def check_dropout(bounds: tuple[float, float], step: float) -> None:
    """Raises ValueError unless the bounds are probabilities below 1, with a step above 0."""
    check_range("dropout", bounds, 0.0, whole=False)
    if bounds[1] >= 1.0:
        raise ValueError(f"dropout must stay below 1, got {bounds}")
    if not step > 0:
        raise ValueError(f"dropout_step must be above 0, got {step}")
    check_step("dropout", bounds, step)


def check_image_shape(shape: tuple[int, ...]) -> None:
    """Raises ValueError unless `shape` is `(channels, height, width)`, each at least 1."""
    if isinstance(shape, str) or not isinstance(shape, Sequence) or len(shape) != 3:
        raise ValueError(
            f"input_shape must be (channels, height, width), got {shape}: images without a "
            "dimension for channels get one by x[:, None]"
        )
    check_shape("input_shape", shape)


def check_stages(stages: object, kind: type) -> None:
    """Raises ValueError unless there are stages of a kind, or one in a tuple."""
    if not isinstance(stages, Sequence) or not all(isinstance(stage, kind) for stage in stages):
        raise ValueError(
            f"stages must be a tuple of {kind.__name__}, got {stages!r}"
            + (": give (stage,) for one alone" if isinstance(stages, kind) else "")
        )


def check_last(stages: tuple[object, ...]) -> None:
    """Raises ValueError if the last stage is empty, so that a network has one record only."""
    if stages and not stages[-1]:
        raise ValueError(f"the last stage must not be empty, got {stages}: leave it out")
