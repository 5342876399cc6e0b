"""Writes rows as CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optnas.errors import InputError
from optnas.pareto.rows import Row
from optnas.utils.whole_file import not_written, whole_file


def as_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV with a line of names; an empty cell is a value that there isn't."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Writes a CSV file, whole or not at all."""
    _write(path, as_csv(rows))


def write_json(rows: Sequence[Row], path: Path) -> None:
    """Writes a list of objects; JSON has no NaN and no infinity, which become null."""
    cells = [{name: _json_value(value) for name, value in row.items()} for row in rows]
    _write(path, json.dumps(cells, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_parquet(rows: Sequence[Row], path: Path) -> None:
    """Writes a Parquet file.

    A column that has numbers and texts becomes one of texts; so does one that has a whole number
    with more digits than its type keeps.

    Raises:
        InputError: pandas or pyarrow isn't installed.
    """
    try:
        import pandas
        import pyarrow  # noqa: F401 - what pandas writes with
    except ImportError as error:
        raise InputError(
            f"--parquet needs pandas and pyarrow: pip install 'optnas[parquet]' ({error})"
        ) from error
    columns = {name: _one_type([row[name] for row in rows]) for name in rows[0]}
    try:
        with whole_file(path) as part:
            pandas.DataFrame(columns).to_parquet(part, engine="pyarrow", index=False)
    except OSError as error:
        raise not_written(path, error) from error


def _write(path: Path, text: str) -> None:
    try:
        with whole_file(path) as part:
            part.write_text(text, encoding="utf-8", errors="replace", newline="")
    except OSError as error:
        raise not_written(path, error) from error


def _json_value(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _one_type(values: list[Any]) -> list[Any]:
    kinds = {type(value) for value in values if value is not None}
    if (len(kinds) > 1 and not kinds <= {int, float}) or not _keeps_digits(values):
        return [None if value is None else str(value) for value in values]
    return values


def _keeps_digits(values: list[Any]) -> bool:
    """Whether no whole number is changed by the type of a column: 64 bits, or double precision."""
    wholes = [value for value in values if type(value) is int]
    if len(wholes) < len(values):
        return all(abs(value) <= 2**53 for value in wholes)
    low = min(wholes)
    return low >= -(2**63) and max(wholes) < (2**63 if low < 0 else 2**64)
