"""Checks of numbers that a user gives."""

from __future__ import annotations

from numbers import Integral


def check_counts(**counts: int) -> None:
    """Raises ValueError unless each of them is a whole number of at least 1."""
    for name, count in counts.items():
        if not isinstance(count, Integral) or count < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {count!r}")
