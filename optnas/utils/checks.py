"""Checks of numbers that a user gives."""

from __future__ import annotations

import math
from numbers import Integral, Real

from optnas.errors import InputError


def check_counts(**counts: int) -> None:
    """Raises ValueError unless each of them is a whole number of at least 1."""
    for name, count in counts.items():
        if not isinstance(count, Integral) or count < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {count!r}")


def check_wholes(**wholes: int | None) -> None:
    """Raises ValueError unless each is a whole number of at least 0; None is left out."""
    for name, whole in wholes.items():
        if whole is not None and (not isinstance(whole, Integral) or whole < 0):
            raise ValueError(f"{name} must be a whole number of at least 0, got {whole!r}")


def check_numbers(**numbers: object) -> None:
    """Raises ValueError unless each of them is a number; None is left out."""
    for name, number in numbers.items():
        if number is not None and not isinstance(number, Real):
            raise ValueError(
                f"{name} must be a number, got {number!r}"
                + (", which is text" if isinstance(number, str) else "")
            )


def as_number(name: str, given: object) -> float:
    """A value as a float, which may be NaN or infinite; raises InputError if it is no number.

    A whole number beyond the largest float is infinite.
    """
    try:
        return float(given)  # type: ignore[arg-type]
    except OverflowError:
        return math.inf if given > 0 else -math.inf  # type: ignore[operator]
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be a number, got {given!r}") from error
