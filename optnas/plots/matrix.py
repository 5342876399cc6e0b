"""All objectives against each other, pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go
from optuna.study import Study

from optnas.errors import InputError
from optnas.plots.points import Point, hovering, points_of, several_objectives
from optnas.plots.style import BLUE, GREY, VERMILLION, figure, short, small_axis, spread, stacked
from optnas.study.objectives import maximized

OBJECTIVES = 7
"""Most objectives that are drawn: more panels are too small to read."""
POINTS = 6000
"""Most dominated points, and most members of the front, over all panels."""


class MatrixData(NamedTuple):
    """What the scatter matrix shows: the feasible architectures, in so many `names`.

    `objectives` is how many objectives there are; `names` are those that are drawn.
    """

    study_name: str
    names: list[str]
    maximized: list[bool]
    objectives: int
    points: list[Point]


def matrix_data(study: Study) -> MatrixData:
    """The feasible COMPLETE trials of a study, one for each architecture.

    Raises:
        InputError: There is only one objective, or no such trial.
    """
    names = several_objectives(study)
    points = [p for p in points_of(study) if p.feasible]
    if not points:
        raise InputError(
            f"no COMPLETE trial of study {study.study_name!r} is within its bounds: loosen them"
        )
    return MatrixData(
        study_name=study.study_name,
        names=names[:OBJECTIVES],
        maximized=maximized(study)[:OBJECTIVES],
        objectives=len(names),
        points=points,
    )


def matrix_figure(data: MatrixData) -> go.Figure:
    """A panel for each pair of objectives: the front in colour, what is dominated in grey."""
    n = len(data.names)
    panels = [(column, row) for row in range(1, n) for column in range(row)]
    found = [p for p in data.points if p.baseline is None]
    kinds = {
        "dominated": [p for p in found if not p.on_front],
        "front": [p for p in found if p.on_front],
        "baselines": [p for p in data.points if p.baseline is not None],
    }
    drawn = {name: spread(points, POINTS // len(panels)) for name, points in kinds.items()}
    left_out = [
        f"{len(drawn[name])} of {len(points)} points of each panel are drawn: {name}"
        for name, points in kinds.items()
        if len(points) > len(drawn[name])
    ]
    if data.objectives > n:
        left_out.append(f"the first {n} of {data.objectives} objectives")
    markers: dict[str, dict[str, Any]] = {
        "dominated": {"size": 4, "color": GREY, "opacity": 0.4},
        "front": {"size": 6 if len(drawn["front"]) < 200 else 4, "color": BLUE, "opacity": 0.8},
        "baselines": {"size": 9, "color": VERMILLION, "symbol": "diamond"},
    }
    traces = [
        _points(data, drawn[name], column, row)
        | {
            "name": name,
            "legendgroup": name,
            "showlegend": (column, row) == panels[0],
            "marker": marker,
        }
        for name, marker in markers.items()
        if drawn[name]
        for column, row in panels
    ]
    return figure(
        traces,
        f"{short(data.study_name, 50)}: {n} objectives, pair by pair",
        lines=[
            f"{len(kinds['front'])} of {len(found)} feasible architectures are on the front of all "
            f"{data.objectives}"
        ],
        notes=left_out,
        height=220 + max(130 * (n - 1), 260),
        **_axes(data),
    )


def _axes(data: MatrixData) -> dict[str, Any]:
    """One axis for each column and for each row."""
    n = len(data.names)
    spans = stacked([1] * (n - 1), 0.02)
    layout: dict[str, Any] = {}
    for i, (name, more) in enumerate(zip(data.names, data.maximized, strict=True)):
        axis = small_axis(name, more, [p.values[i] for p in data.points], brief=n > 4)
        if i < n - 1:  # a column
            layout[f"xaxis{i + 1}"] = axis | {"domain": spans[i], "anchor": f"y{n - 1}"}
        if i > 0:  # a row, from the top
            layout[f"yaxis{i}"] = axis | {"domain": spans[n - 1 - i], "anchor": "x1"}
    return layout


def _points(data: MatrixData, points: Sequence[Point], column: int, row: int) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [p.values[column] for p in points],
        "y": [p.values[row] for p in points],
        "xaxis": f"x{column + 1}",
        "yaxis": f"y{row}",
        "customdata": [p.number for p in points],
        **hovering(points, data.names, len(data.names)),
    }
