"""The results of fresh seeds for the front's members, in the Pareto figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from optnas.pareto.confirmed import Standing
from optnas.plots.style import GREY, INK
from optnas.plots.texts import label
from optnas.utils.mean_sd import Spread
from optnas.utils.text import plural


def again_traces(again: Sequence[Standing], names: Sequence[str], x: int, y: int) -> list[Any]:
    """Means with bars of one standard deviation, each tied to the value that the search found.

    Args:
        again: Trials that were evaluated again, each at least once with success.
        names: Of the objectives.
        x: The position of the objective on the horizontal axis.
        y: And of the one on the vertical axis.
    """
    if not again:
        return []
    found = [(standing.member.search, standing.member.spreads) for standing in again]
    ties = {
        "type": "scatter",
        "mode": "lines",
        "x": [at for search, fresh in found for at in (search[x], fresh[x].mean, None)],
        "y": [at for search, fresh in found for at in (search[y], fresh[y].mean, None)],
        "line": {"color": GREY, "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    means = {
        "type": "scatter",
        "mode": "markers",
        "name": "with fresh seeds (mean ± 1 sd)",
        "x": [fresh[x].mean for _, fresh in found],
        "y": [fresh[y].mean for _, fresh in found],
        "error_x": _bars([fresh[x] for _, fresh in found]),
        "error_y": _bars([fresh[y] for _, fresh in found]),
        "marker": {"symbol": "square-open", "size": 8, "color": INK},
        "customdata": [standing.trial for standing in again],
        "hovertext": [_hover(standing, names) for standing in again],
        "hoverinfo": "text",
    }
    return [ties, means]


def _bars(spreads: Sequence[Spread]) -> dict[str, Any]:
    """Bars of one deviation; a single seed shows none."""
    return {
        "type": "data",
        "array": [0.0 if math.isnan(s.deviation) else s.deviation for s in spreads],
        "color": INK,
        "thickness": 1.2,
        "width": 3,
    }


def _hover(standing: Standing, names: Sequence[str]) -> str:
    member = standing.member
    head = f"<b>trial {member.trial}</b>, {plural(member.n, 'fresh seed')}: {standing.verdict}"
    values = [f"{label(name)}: {text}" for name, text in zip(names, member.spreads, strict=True)]
    return "<br>".join([head, *values])
