"""Checks of the settings that search spaces share."""

from __future__ import annotations

from optnas.search_spaces.base import ACTIVATIONS


def check_range(name: str, bounds: tuple[float, float], lowest: float) -> None:
    """Raises ValueError unless `lowest <= bounds[0] <= bounds[1]`."""
    try:
        low, high = bounds
        fits = lowest <= low <= high
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(f"{name} must be (low, high) with {lowest:g} <= low <= high, got {bounds}")


def check_sizes(name: str, sizes: tuple[int, ...]) -> None:
    """Raises ValueError unless there are sizes, all of them whole numbers of at least 1."""
    if not sizes or not all(isinstance(size, int) and size >= 1 for size in sizes):
        raise ValueError(f"{name} must be whole numbers of at least 1, got {sizes}")


def check_activations(names: tuple[str, ...]) -> None:
    """Raises ValueError unless there are names, all of them of known activations."""
    unknown = [name for name in names if name not in ACTIVATIONS]
    if unknown or not names:
        raise ValueError(f"activations must be among {', '.join(ACTIVATIONS)}, got {names}")


def check_image_shape(shape: tuple[int, ...]) -> None:
    """Raises ValueError unless `shape` is `(channels, height, width)`, each at least 1."""
    if len(shape) != 3:
        raise ValueError(f"input_shape must be (channels, height, width), got {shape}")
    check_sizes("input_shape", shape)
