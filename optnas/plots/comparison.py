"""The fronts of several studies in one plane."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from optnas.errors import InputError
from optnas.pareto.compare import BOX, Compared, Comparison
from optnas.pareto.dominance import nondominated
from optnas.pareto.hypervolume import volume_text
from optnas.plots.scales import LARGEST, value_axis
from optnas.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    figure,
    spread,
)
from optnas.plots.texts import hover, label
from optnas.utils.text import there_are

STYLES = (
    (BLUE, "circle"),
    (VERMILLION, "diamond"),
    (GREEN, "square"),
    (PURPLE, "triangle-up"),
    (ORANGE, "cross"),
    (SKY, "star"),
    (INK, "hexagon"),
    (GREY, "triangle-down"),
)
"""A colour and a symbol for each study; the ninth study has those of the first."""


def comparison_figure(data: Comparison, x: str | None = None, y: str | None = None) -> go.Figure:
    """The fronts of studies under two of their common objectives.

    Full markers are members that no other study's front dominates in the common objectives; open
    ones are dominated. Each line joins the members of one study that are best in the plane.

    Args:
        data: The result of `compare`.
        x: Name of the objective on the horizontal axis; by default the first that isn't `y`.
        y: Name of the objective on the vertical axis; by default the first that isn't `x`.

    Raises:
        InputError: There is no such objective, or only one.
    """
    names = data.names
    if len(names) < 2:
        raise InputError(f"these studies share a single objective ({names[0]}): no plane to draw")
    for name in (x, y):
        if name is not None and name not in names:
            raise InputError(f"unknown objective {name!r}; {there_are(name, names)}")
    y = y or next(name for name in names if name != x)
    x = x or next(name for name in names if name != y)
    if x == y:
        raise InputError(f"x and y are both {x!r}; give two of: {', '.join(names)}")
    i, j = names.index(x), names.index(y)
    traces = []
    for k, own in enumerate(data.studies):
        color, symbol = STYLES[k % len(STYLES)]
        traces += [
            _line(data, own, i, j, color) | {"legendgroup": str(k)},
            _points(data, own, i, j, color, symbol) | {"legendgroup": str(k)},
        ]
    values = np.array([member.values for own in data.studies for member in own.front])
    about = "" if data.exact else " (approximate: more than 5 objectives)"
    volumes = ", ".join(f"{own.label} {volume_text(own.hypervolume, 3)}" for own in data.studies)
    return figure(
        traces,
        "Fronts compared",
        lines=[f"hypervolume{about}: {volumes}", BOX],
        notes=[
            "open markers are dominated by another study's front; lines join what is best in the "
            "two objectives on the axes"
        ],
        xaxis=value_axis(x, data.maximized[i], values[:, i].tolist()),
        yaxis=value_axis(y, data.maximized[j], values[:, j].tolist()),
    )


def _line(data: Comparison, own: Compared, i: int, j: int, color: str) -> dict[str, Any]:
    plane = np.array([(member.losses[i], member.losses[j]) for member in own.front])
    values = np.array([(member.values[i], member.values[j]) for member in own.front])
    best = values[nondominated(plane) & (np.abs(values) <= LARGEST).all(axis=1)]
    best = best[np.argsort(best[:, 0], kind="stable")]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": best[:, 0].tolist(),
        "y": best[:, 1].tolist(),
        "line": {"color": color, "width": 1.5, "shape": "vh" if data.maximized[i] else "hv"},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _points(
    data: Comparison, own: Compared, i: int, j: int, color: str, symbol: str
) -> dict[str, Any]:
    members = spread(own.front)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label(own.label),
        "x": [member.values[i] for member in members],
        "y": [member.values[j] for member in members],
        "customdata": [member.trial for member in members],
        "hovertext": [
            hover(
                f"{own.label}, trial {member.trial}",
                " ".join(filter(None, (member.architecture, member.recipe))),
                zip(data.names, member.values, strict=True),
            )
            for member in members
        ],
        "hoverinfo": "text",
        "marker": {
            "size": 9,
            "color": color,
            "symbol": [symbol if member.stands else f"{symbol}-open" for member in members],
        },
    }
