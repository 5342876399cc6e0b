"""What a model card says of rows of a table: how they are prepared, and code that does it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

from optnas.datasets.dataset import PREPARATION
from optnas.datasets.prepare import prepare
from optnas.utils.markdown import block, code, plain, table
from optnas.utils.text import number

SHOWN = 12
"""Most values of a category, and most classes, that the card lists; the file has all of them."""
_IMPORTS = "from statistics import NormalDist\nfrom typing import Any\n\nimport numpy as np\n\n\n"


def preparation_of(facts: Mapping[str, str]) -> dict[str, Any]:
    """The preparation among the facts that stay with weights; empty if there is none."""
    return json.loads(facts[PREPARATION]) if PREPARATION in facts else {}


def about_rows(preparation: Mapping[str, Any]) -> list[str]:
    """Which columns a row needs and what becomes of them, as Markdown."""
    rows = [("column", "becomes")]
    gaps = list(preparation["gaps"])
    for one in preparation["numbers"]:
        scaled = (
            "a normal quantile of its rank"
            if "quantiles" in one
            else f"(x - {number(one['mean'])}) / {number(one['std'])}"
        )
        rows.append((code(one["column"]), f"{scaled}; {number(one['fill'])} if it is missing"))
    rows += [(code(name), "1 if it is missing, else 0") for name in gaps]
    for one in preparation["categories"]:
        missing = f"; {one['missing']} if it is missing" if one["missing"] else ""
        rows.append(
            (code(one["column"]), f"a code: {_listed(one['values'], 1)}; 0 for others{missing}")
        )
    parts = [
        "An example is a row of a table, whose columns become numbers and codes. What was learned "
        f"for that comes from the training part; the file has all of it as `{PREPARATION}`.",
        table(rows),
    ]
    if "classes" in preparation:
        parts.append(f"The classes: {_listed(preparation['classes'], 0)}.")
    return parts


def _listed(names: list[str], first: int) -> str:
    texts = [f"{at} {code(name)}" for at, name in enumerate(names[:SHOWN], first)]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(texts) + plain(more)


def code_for_rows() -> str:
    """The function that prepares rows, as a block of code that needs numpy alone."""
    return block(_IMPORTS + inspect.getsource(prepare).rstrip(), "python")


def example_rows(preparation: Mapping[str, Any], rows: int) -> dict[str, list[Any]]:
    """Rows with a usual value in each column."""
    found: dict[str, list[Any]] = {name: [None] * rows for name in preparation["gaps"]}
    for one in preparation["numbers"]:
        found[one["column"]] = [one["fill"]] * rows
    for one in preparation["categories"]:
        found[one["column"]] = [one["values"][0]] * rows
    return found
