"""Prepares rows of a table for a network, with numpy and the standard library alone.

Model cards show the source of `prepare`, so it needs nothing but these two imports.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np


def prepare(columns: Any, preparation: Any) -> Any:
    """Turns rows of a table into a network's inputs.

    Args:
        columns: The values of each column by its name; None and NaN are missing.
        preparation: What `optnas.frame` learned from the training rows.

    Returns:
        `numbers`, float32 of shape `(rows, numbers)`, and `categories`, their codes as int64 of
        shape `(rows, categories)`; only those that the network takes.
    """

    def text(value: Any) -> str:
        whole = isinstance(value, (float, np.floating)) and value == round(value)
        return str(int(value) if whole else value)

    numbers, codes = [], []
    for one in preparation["numbers"]:
        x = np.array(columns[one["column"]], np.float64)
        x[np.isnan(x)] = one["fill"]
        if "quantiles" in one:  # the share of training rows below, as a normal quantile
            q, shares = np.array(one["quantiles"]), np.linspace(0, 1, len(one["quantiles"]))
            least, most = x <= q[0], x >= q[-1]
            x = (np.interp(x, q, shares) - np.interp(-x, -q[::-1], -shares[::-1])) / 2
            x[most], x[least] = 1, 0
            x = np.array([NormalDist().inv_cdf(s) for s in np.clip(x, 1e-7, 1 - 1e-7)])
        else:
            x = (x - one["mean"]) / one["std"]
        numbers.append(x)
    for name in preparation["gaps"]:  # whether the value is missing
        numbers.append(np.isnan(np.array(columns[name], np.float64)))
    for one in preparation["categories"]:  # 0 is a value that no training row has
        known = {value: code for code, value in enumerate(one["values"], 1)}
        codes.append(
            [
                one["missing"] if value is None or value != value else known.get(text(value), 0)
                for value in columns[one["column"]]
            ]
        )
    found: dict[str, Any] = {}
    if numbers:
        found["numbers"] = np.stack(numbers, 1).astype(np.float32)
    if codes:
        found["categories"] = np.array(codes, np.int64).T
    return found
