"""Checks of what `frame` is asked for: names of columns, and numbers that are given as text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optnas.datasets.columns import Column
from optnas.datasets.preparation import FEW_CATEGORIES, as_text
from optnas.errors import InputError
from optnas.utils.text import did_you_mean, listed

MOSTLY = 0.9
"""From this share of numbers on, the other texts of a column are taken for signs of gaps."""


def column_name(target: object, name: str) -> str:
    """The text of a column's label.

    Args:
        target: What was given as the target.
        name: What the data is called.

    Raises:
        InputError: It is a column, or several.
    """
    label = getattr(target, "name", None)
    if type(target).__name__ == "Series" and label is not None:
        raise InputError(
            f"{name}: target is a column, and must be the name of one of the table's: give "
            f"target={label!r}"
        )
    if isinstance(target, (list, set, dict, np.ndarray)) or hasattr(target, "iloc"):
        raise InputError(
            f"{name}: target must be the name of one column, got a {type(target).__name__}: for "
            "several targets, give numbers to optnas.arrays(x, y), with y of shape (n, targets)"
        )
    return str(target)


def column_names(given: Any) -> tuple[str, ...]:
    """The texts of several columns' labels; a single one may be given as it is."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        return (str(given),)
    return tuple(map(str, given))


def check_names(asked: Iterable[str], columns: Collection[str], name: str) -> None:
    """Raises InputError unless there is a column of each name."""
    for one in asked:
        if one not in columns:
            raise InputError(
                f"{name}: no column is called {one!r}; there are: {', '.join(columns)}"
                + did_you_mean(one, columns)
            )


def check_texts(columns: Sequence[Column], rows: NDArray[Any], name: str) -> None:
    """Raises InputError if numbers are given as text, in too many values for groups.

    Args:
        columns: All columns but the target.
        rows: The numbers of the training rows.
        name: What the data is called.
    """
    for column in columns:
        if column.is_category or column.kinds != {"text"}:
            continue
        texts = [value for row in rows if (value := column.values[row]) is not None]
        if len(set(texts)) <= max(FEW_CATEGORIES, len(texts) / 2):
            continue
        numbers = [text for text in texts if _is_number(text)]
        if len(numbers) >= MOSTLY * len(texts):
            others = sorted(set(texts) - set(numbers))
            raise InputError(
                f"{name}: column {column.name} holds numbers as text, such as {numbers[0]!r}"
                + (f", and {listed(list(map(repr, others)))}" if others else "")
                + f": give pd.to_numeric(df[{column.name!r}]"
                + (", errors='coerce')" if others else ")")
                + ", or leave it out: "
                f"drop=({column.name!r},)"
            )


def check_categories(column: Column, name: str) -> None:
    """Raises InputError if two different values of a column of categories have the same text."""
    by_text: dict[str, Any] = {}
    for value in column.values:
        if value is None:
            continue
        other = by_text.setdefault(as_text(value), value)
        if other != value:
            raise InputError(
                f"{name}: column {column.name} holds {other!r} ({type(other).__name__}) and "
                f"{value!r} ({type(value).__name__}), which have one text and would be one "
                "category: if they mean the same, write it in one way in all rows; if not, rename "
                "one"
            )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
