"""A dataset from a table: a pandas DataFrame, or a dictionary of columns."""

from __future__ import annotations

import json
import logging
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from optnas.datasets.check_arrays import guess_task
from optnas.datasets.check_frame import (
    check_categories,
    check_names,
    check_texts,
    column_name,
    column_names,
)
from optnas.datasets.columns import Column, read_columns
from optnas.datasets.dataset import Dataset, Part, Task
from optnas.datasets.normalize import channel_moments, scaled
from optnas.datasets.preparation import Scale, as_text, learn_preparation, prepared_inputs
from optnas.datasets.split import split
from optnas.errors import InputError

log = logging.getLogger("optnas")


def frame(
    dataframe: object,
    target: Hashable,
    *,
    task: Task | None = None,
    categories: Sequence[Hashable] | str = (),
    drop: Sequence[Hashable] | str = (),
    scale: Scale = "standard",
    val: float | int = 0.2,
    test: float | int = 0.2,
    seed: int = 0,
    name: str = "frame",
) -> Dataset:
    """Splits a table into training, validation and test parts, and prepares its columns.

    Columns of numbers and booleans become numbers: a missing one gets the median, and one more
    number (0 or 1) says that it was missing. Columns of text and pandas' categories become codes
    from 1; 0 stands for a value that no training row has, and missing values have a code of their
    own where training rows have some. All of that is learned from the training rows alone. Columns
    that are constant or empty there are left out, which is logged. Dates are refused.

    What was learned is kept as JSON in `Dataset.preparation`, and with the weights of trained
    networks; `Dataset.prepare` applies it to new rows, and a model card shows the code that does so
    with numpy alone.

    Args:
        dataframe: A pandas DataFrame, or a dictionary of columns, each an array or a list in which
            None or NaN is missing. The index of a DataFrame isn't used.
        target: The name of the column to predict; names may be numbers.
        task: `classification` or `regression`. Left out, text, booleans and whole numbers mean
            classes, and others regression; in doubt, an error asks for it.
        categories: Names of columns of numbers that are categories (codes of places, say); a
            single one may be given as it is.
        drop: Names of columns to leave out.
        scale: How numbers are scaled: `standard`, to mean 0 and standard deviation 1; or
            `quantile`, to a normal distribution, by their rank (for numbers with long tails;
            columns of two values aren't ranked).
        val: Share or number of rows in the validation part.
        test: Share or number of rows in the test part.
        seed: Seeds the split, which keeps the shares of the classes.
        name: What the data is called, in reports and errors.

    Returns:
        Examples are a tensor `(rows, numbers)` if there are no categories, else a dictionary of
        `numbers`, float32, if there are any, and `categories`, int64 codes `(rows, categories)`.
        Regression targets are normalised, so that predicting their mean gives a val_loss of 1.

    Raises:
        InputError: The table is of another type, a column can't be used or isn't there, targets are
            missing, or a class isn't in the training part.

    Example:
        ```python
        import optnas

        table = {
            "age": [31, 45, None, 28] * 10,
            "city": ["Rome", "Oslo", "Rome", None] * 10,
            "buys": ["yes", "no", "no", "yes"] * 10,
        }
        data = optnas.frame(table, target="buys")
        print(data.classes)  # ('no', 'yes')
        new = data.prepare({"age": [50], "city": ["Lima"]})
        ```
    """
    if scale not in get_args(Scale):
        raise InputError(f"scale must be one of {', '.join(get_args(Scale))}, got {scale!r}")
    if task not in (None, *get_args(Task)):
        raise InputError(f"task must be one of {', '.join(get_args(Task))}, got {task!r}")
    columns = read_columns(dataframe, name)
    target = column_name(target, name)
    categories, drop = column_names(categories), column_names(drop)
    check_names((target, *categories, *drop), columns, name)
    if target in (*categories, *drop):
        raise InputError(f"{name}: {target} is the target: leave it out of categories and drop")
    y, classes, found_task = _targets(columns[target], task, name)
    rows = np.arange(len(y))
    rest, test_rows = split(rows, y, found_task, test, seed, "test", name, names=classes)
    train_rows, val_rows = split(
        rest, y, found_task, val, seed, "val", name, of=len(y), names=classes
    )
    _check_classes(y, classes, train_rows, name)
    used = [
        replace(column, is_category=column.is_category or column.name in categories)
        for column in columns.values()
        if column.name not in (target, *drop)
    ]
    check_texts(used, train_rows, name)
    for column in used:
        if column.is_category:
            check_categories(column, name)
    preparation = learn_preparation(used, train_rows, scale, name)
    if preparation["left_out"]:
        reasons = ", ".join(f"{k} ({v})" for k, v in preparation["left_out"].items())
        log.warning("%s: columns that say nothing in the training part: %s", name, reasons)
    moments = (torch.zeros(()), torch.ones(()))
    targets = torch.from_numpy(y)
    if found_task == "regression":
        shift, spread = channel_moments(y[train_rows][:, None])
        targets = scaled(y[:, None], shift, spread, f"{name}: the target {target}")
        moments = torch.from_numpy(shift), torch.from_numpy(spread)
    else:
        preparation["classes"] = classes
    everything = {column.name: column.values for column in used}

    def part(rows: NDArray[Any]) -> Part:
        some = {key: [values[row] for row in rows] for key, values in everything.items()}
        return prepared_inputs(some, preparation, name), targets[torch.from_numpy(rows)]

    return Dataset(
        name,
        found_task,
        part(train_rows),
        part(val_rows),
        part(test_rows),
        len(classes) or 1,
        y_moments=moments,
        preparation=json.dumps(preparation, ensure_ascii=False),
    )


def _targets(column: Column, task: Task | None, name: str) -> tuple[NDArray[Any], list[str], Task]:
    """Class numbers or raw numbers, the names of the classes if there are any, and the task."""
    lacking = sum(value is None for value in column.values)
    if lacking:
        raise InputError(
            f"{name}: {lacking} of {len(column.values)} rows have no value of the target "
            f"{column.name}: leave them out, as df.dropna(subset=[{column.name!r}]) does"
        )
    is_number = column.kinds == {"number"}
    if task == "regression":
        if not is_number:
            raise InputError(
                f"{name}: the target {column.name} holds {_list(sorted(column.kinds))}, and "
                "regression needs numbers: give task='classification'"
            )
        return np.array(column.values, np.float64), [], task
    numeric = is_number and not column.is_category
    if task is None and numeric and _guess(column, name) == "regression":
        return np.array(column.values, np.float64), [], "regression"
    check_categories(column, name)
    by_text = {as_text(value): value for value in column.values}
    classes = sorted(by_text, key=(lambda text: by_text[text]) if numeric else None)
    if len(classes) < 2:
        raise InputError(f"{name}: all rows have the target {classes[0]}: two classes are needed")
    numbers = {text: number for number, text in enumerate(classes)}
    y = np.array([numbers[as_text(value)] for value in column.values], np.int64)
    return y, classes, "classification"


def _guess(column: Column, name: str) -> Task:
    """The task of a target of numbers."""
    y = np.array(column.values)
    if y.dtype == bool:
        return "classification"
    try:
        return guess_task(y, name)
    except InputError as error:
        raise InputError(
            f"{name}: the target {column.name} has {len(np.unique(y))} different numbers, which "
            "may be classes or not: give task='classification' or task='regression'"
        ) from error


def _check_classes(y: NDArray[Any], classes: list[str], rows: NDArray[Any], name: str) -> None:
    """Raises InputError if a class isn't in the training part."""
    for number, text in enumerate(classes):
        if not (y[rows] == number).any():
            raise InputError(
                f"{name}: none of the {int((y == number).sum())} rows of class {text!r} is in the "
                "training part, so no network can learn it: give more rows, join it with another "
                "class, or leave it out (another seed= splits otherwise)"
            )


def _list(names: Any) -> str:
    return ", ".join(map(str, names))
