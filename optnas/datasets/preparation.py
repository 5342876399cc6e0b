"""Learns from the training rows of a table how its columns become numbers and codes.

scikit-learn's transformers are fitted: `SimpleImputer` (median), `MissingIndicator`,
`StandardScaler` or `QuantileTransformer`, and `OrdinalEncoder`. What they learned is kept as plain
numbers and texts, which JSON holds, and `prepare` applies it with numpy alone. So a network in use
gets exactly what it was trained on, and nothing is loaded by pickle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from optnas.datasets.columns import Column, check_kind, read_columns
from optnas.datasets.prepare import prepare
from optnas.errors import InputError
from optnas.utils.inputs import Inputs

Scale = Literal["standard", "quantile"]
MOST_QUANTILES = 200
FEW_CATEGORIES = 20
"""A column with at most as many different texts may have another one in each row."""
EXACT = 2**53
"""Up to here, each whole number is a float of its own."""


def learn_preparation(
    columns: Sequence[Column], rows: NDArray[Any], scale: Scale, name: str
) -> dict[str, Any]:
    """Fits the transformers on some rows.

    Args:
        columns: All columns but the target.
        rows: The numbers of the training rows.
        scale: How numbers are scaled.
        name: What the data is called, in errors.

    Returns:
        `numbers`, `gaps` (columns of numbers with missing values), `categories`, and `left_out`:
        columns that are constant or empty in the training rows, each with the reason.

    Raises:
        InputError: A column can't be used, or none is left.
    """
    found: dict[str, Any] = {"numbers": [], "gaps": [], "categories": [], "left_out": {}}
    for column in columns:
        values = [column.values[row] for row in rows]
        if all(value is None for value in values):
            found["left_out"][column.name] = "empty"
        elif check_kind(column, name):
            _learn_category(column.name, values, found, name)
        else:
            _check_exact(column.name, values, name)
            with np.errstate(over="ignore", invalid="ignore"):  # refused when it is applied
                _learn_number(column.name, np.array(values, np.float64), scale, found)
    if not (found["numbers"] or found["gaps"] or found["categories"]):
        raise InputError(
            f"{name}: no column but the target varies in the {len(rows)} training rows: "
            f"{', '.join(found['left_out']) or 'there is none'}"
        )
    return found


def _learn_number(column: str, values: NDArray[Any], scale: Scale, found: dict[str, Any]) -> None:
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import QuantileTransformer, StandardScaler

    imputer = SimpleImputer(strategy="median").fit(values[:, None])
    filled = imputer.transform(values[:, None])
    gaps = bool(np.isnan(values).any())
    if gaps:
        found["gaps"].append(column)
    one: dict[str, Any] = {"column": column, "fill": float(imputer.statistics_[0])}
    if filled.min() == filled.max():
        if not gaps:
            found["left_out"][column] = "constant"
        return
    if scale == "quantile" and len(np.unique(filled)) > 2:
        fitted = QuantileTransformer(
            n_quantiles=min(MOST_QUANTILES, len(values)),
            output_distribution="normal",
            subsample=None,
        ).fit(filled)
        one["quantiles"] = fitted.quantiles_[:, 0].tolist()
    else:
        fitted = StandardScaler().fit(filled)
        one |= {"mean": float(fitted.mean_[0]), "std": float(fitted.scale_[0])}
    found["numbers"].append(one)


def _check_exact(column: str, values: list[Any], name: str) -> None:
    """Raises InputError if different whole numbers become one float."""
    large = {v for v in values if isinstance(v, int | np.integer) and abs(int(v)) > EXACT}
    if len({float(value) for value in large}) < len(large):
        raise InputError(
            f"{name}: column {column} has whole numbers beyond {EXACT}, of which floats don't tell "
            f"all apart, such as {max(large)}: if they name groups, give categories=({column!r},); "
            f"if they number the rows, drop=({column!r},)"
        )


def _learn_category(column: str, values: list[Any], found: dict[str, Any], name: str) -> None:
    from sklearn.preprocessing import OrdinalEncoder

    texts = [as_text(value) for value in values if value is not None]
    gaps = len(texts) < len(values)
    encoder = OrdinalEncoder().fit(np.array(texts, object)[:, None])
    known = list(encoder.categories_[0])
    if len(known) == 1 and not gaps:
        found["left_out"][column] = "constant"
        return
    if len(known) > max(FEW_CATEGORIES, len(texts) / 2):
        raise InputError(
            f"{name}: column {column} has {len(known)} different texts in {len(texts)} training "
            f"rows, such as {known[0]!r}, so it names rows more than it groups them: leave it out, "
            f"drop=({column!r},), or make fewer groups"
        )
    found["categories"].append(
        {"column": column, "values": known, "missing": len(known) + 1 if gaps else 0}
    )


def as_text(value: object) -> str:
    """A category's text; a whole number has the same one as an int and as a float."""
    whole = isinstance(value, (float, np.floating)) and value == round(value)
    return str(int(value)) if whole else str(value)  # type: ignore[call-overload]


def category_sizes(preparation: Mapping[str, Any]) -> tuple[int, ...]:
    """The number of codes of each category: its values, unseen ones, and missing ones if any."""
    return tuple(1 + max(len(c["values"]), c["missing"]) for c in preparation["categories"])


def needed_columns(preparation: Mapping[str, Any]) -> list[str]:
    """The names of the columns that a row needs, each once."""
    named = [one["column"] for one in preparation["numbers"]] + list(preparation["gaps"])
    named += [one["column"] for one in preparation["categories"]]
    return list(dict.fromkeys(named))


def prepared_inputs(rows: object, preparation: Mapping[str, Any], name: str) -> Inputs:
    """Rows of a table as the inputs of a network.

    One tensor where all are numbers; else a dictionary of `numbers` and `categories`, those that
    the preparation has.

    Raises:
        InputError: A column is missing, it has a text where numbers are, or a number too large.
    """
    columns = read_columns(rows, name)
    lacking = [column for column in needed_columns(preparation) if column not in columns]
    if lacking:
        raise InputError(f"{name}: the rows lack the columns {', '.join(lacking)}")
    numbers = {one["column"] for one in preparation["numbers"]} | set(preparation["gaps"])
    for column in sorted(numbers):
        if not columns[column].kinds <= {"number"}:
            raise InputError(
                f"{name}: column {column} must hold numbers, as in the training rows, got "
                f"{', '.join(sorted(columns[column].kinds))}"
            )
    with np.errstate(over="ignore", invalid="ignore"):
        arrays = prepare({key: column.values for key, column in columns.items()}, preparation)
    for number, one in enumerate(preparation["numbers"]):
        bad = np.flatnonzero(~np.isfinite(arrays["numbers"][:, number]))
        if len(bad):
            column, row = one["column"], int(bad[0])
            raise InputError(
                f"{name}: column {column} has numbers so large that they can't be scaled, such as "
                f"{columns[column].values[row]}: give their logarithm, or leave it out: "
                f"drop=({column!r},)"
            )
    tensors = {key: torch.from_numpy(np.ascontiguousarray(x)) for key, x in arrays.items()}
    return tensors["numbers"] if list(tensors) == ["numbers"] else tensors
