"""Reads the columns of a table: their values as Python's, and whether they are categories."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from numbers import Real
from typing import Any

import numpy as np

from optnas.errors import InputError

_DATES = (date, time, timedelta, np.datetime64, np.timedelta64)


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its name.
        values: Its values; None is missing.
        is_category: Whether it was declared as one.
    """

    name: str
    values: list[Any]
    is_category: bool = False

    @property
    def kinds(self) -> set[str]:
        """The kinds of its values: `number`, `text`, `date`, or the name of another type."""
        return {_kind(value) for value in self.values if value is not None}


def read_columns(table: object, name: str) -> dict[str, Column]:
    """The columns of a table by name.

    Args:
        table: A pandas DataFrame, or a dictionary of columns (arrays or lists of one length).
        name: What the data is called, in errors.

    Raises:
        InputError: It is neither, two columns have one name, their lengths differ, or a number is
            infinite or complex.
    """
    pandas = sys.modules.get("pandas")  # imported by those who have a DataFrame
    given: Iterable[tuple[Any, Any]]
    if pandas is not None and isinstance(table, pandas.DataFrame):
        given = [(label, table.iloc[:, at]) for at, label in enumerate(table.columns)]
    elif isinstance(table, Mapping):
        given = table.items()
    else:
        row = ", which is one row: df.iloc[[0]]" if type(table).__name__ == "Series" else ""
        raise InputError(
            f"{name}: give a pandas DataFrame (pip install 'optnas[frame]'), or a dictionary of "
            f"columns, got a {type(table).__name__}{row}"
        )
    found: dict[str, Column] = {}
    for label, values in given:
        if _is_single(values):
            raise InputError(
                f"{name}: column {label} is a single value, {values!r}: give a list, or an array, "
                f"of values, {{{label!r}: [{values!r}], …}} for one row"
            )
        if str(label) in found:
            raise InputError(f"{name}: two columns are called {label}: rename one")
        if pandas is not None and isinstance(values, pandas.Series):
            declared = str(values.dtype) == "category"
            column = Column(str(label), _of_series(values), declared)
        else:
            column = Column(str(label), _of_values(values))
        _check_numbers(column, name)
        found[column.name] = column
    lengths = {len(column.values) for column in found.values()}
    if len(lengths) != 1 or 0 in lengths:
        numbers = ", ".join(f"{c.name} {len(c.values)}" for c in found.values()) or "no columns"
        raise InputError(f"{name}: columns must be of one length, at least 1, got {numbers}")
    return found


def _is_single(values: object) -> bool:
    """Whether a column is one value; iterating over a text would give its letters."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        return True
    return getattr(values, "ndim", 1) == 0


def _of_series(series: Any) -> list[Any]:
    pairs = zip(series.astype(object).tolist(), series.isna().tolist(), strict=True)
    return [None if gap else value for value, gap in pairs]


def _of_values(values: Any) -> list[Any]:
    if isinstance(values, np.ndarray) and values.dtype.kind in "Mm":
        return list(values)  # tolist() would make whole numbers of nanoseconds
    listed = values.tolist() if isinstance(values, np.ndarray) else list(values)
    return [None if _is_missing(value) else value for value in listed]


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Real) and value != value  # isnan() takes no large whole numbers


def _kind(value: object) -> str:
    if isinstance(value, (Real, np.bool_)):
        return "number"
    if isinstance(value, str):
        return "text"
    return "date" if isinstance(value, _DATES) else type(value).__name__


def _check_numbers(column: Column, name: str) -> None:
    for row, value in enumerate(column.values):
        if isinstance(value, Real) and _is_too_large(value):
            raise InputError(
                f"{name}: column {column.name} has an infinite number in row {row}, or one too "
                "large for a float: replace it, by None if it is missing"
            )


def _is_too_large(value: Any) -> bool:
    return bool(abs(value) > sys.float_info.max)  # isinf() takes no large whole numbers


def check_kind(column: Column, name: str) -> bool:
    """Whether a column holds categories, and not numbers.

    Raises:
        InputError: It holds dates, or values of several kinds.
    """
    kinds = column.kinds
    if column.is_category:
        return True
    if kinds == {"date"}:
        raise InputError(
            f"{name}: column {column.name} holds dates, whose meaning only you know: turn it into "
            f"numbers (days since another date, hour, month) or leave it out: "
            f"drop=({column.name!r},)"
        )
    if kinds <= {"number"}:
        return False
    if kinds == {"text"}:
        return True
    raise InputError(
        f"{name}: column {column.name} holds values of the kinds {', '.join(sorted(kinds))}: make "
        f"them all numbers or all text, or leave it out: drop=({column.name!r},)"
    )
