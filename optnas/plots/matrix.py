"""All objectives against each other, pair by pair."""

from __future__ import annotations

from typing import Any, NamedTuple

import plotly.graph_objects as go
from optuna.study import Study

from optnas.errors import InputError
from optnas.pareto.architectures import ArchitectureRecord
from optnas.pareto.snapshot import Snapshot
from optnas.plots.points import (
    and_points,
    architectures,
    markers,
    points_of,
    several_objectives,
)
from optnas.plots.scales import small_axis
from optnas.plots.style import BLUE, GREY, VERMILLION, figure, spread, stacked
from optnas.plots.texts import drawn_note, short

OBJECTIVES = 7
"""The largest number of objectives that are drawn: more panels are too small to read."""
POINTS = 6000
"""The largest number of dominated points, and of members of the front, over all panels."""


class MatrixData(NamedTuple):
    """The data of the scatter matrix: the feasible architectures.

    Attributes:
        study_name: Of the study.
        names: The objectives that are drawn.
        maximized: Whether each of them is maximised.
        objectives: The number of objectives of the study.
        points: The architectures.
    """

    study_name: str
    names: list[str]
    maximized: list[bool]
    objectives: int
    points: list[ArchitectureRecord]


def matrix_data(study: Study | Snapshot) -> MatrixData:
    """The feasible architectures of a study.

    Raises:
        InputError: There is only one objective, or no such trial.
    """
    seen = Snapshot.of(study)
    names = several_objectives(seen)
    points = [p for p in points_of(seen) if p.feasible]
    if not points:
        raise InputError(
            f"no COMPLETE trial of study {seen.study.study_name!r} is within its bounds: loosen "
            "them"
        )
    return MatrixData(
        study_name=seen.study.study_name,
        names=names[:OBJECTIVES],
        maximized=seen.maximized[:OBJECTIVES],
        objectives=len(names),
        points=points,
    )


def matrix_figure(data: MatrixData) -> go.Figure:
    """A panel for each pair of objectives: the front in colour, what is dominated in grey."""
    n = len(data.names)
    panels = [(column, row) for row in range(1, n) for column in range(row)]
    found = [p for p in data.points if p.baseline is None]
    front = [p for p in found if p.on_front]
    kinds = {
        "dominated": [p for p in found if not p.on_front],
        "front": front,
        "baselines": [p for p in data.points if p.baseline is not None],
    }
    drawn = {name: spread(points, POINTS // len(panels)) for name, points in kinds.items()}
    left_out = [
        drawn_note(drawn[name], points, f"points of each panel are drawn: {name}")
        for name, points in kinds.items()
    ]
    if data.objectives > n:
        left_out.append(f"the first {n} of {data.objectives} objectives")
    looks: dict[str, dict[str, Any]] = {
        "dominated": {"size": 4, "color": GREY, "opacity": 0.4},
        "front": {"size": 6 if len(drawn["front"]) < 200 else 4, "color": BLUE, "opacity": 0.8},
        "baselines": {"size": 9, "color": VERMILLION, "symbol": "diamond"},
    }
    traces = [
        markers(drawn[name], column, row, data.names, n)
        | {
            "xaxis": f"x{column + 1}",
            "yaxis": f"y{row}",
            "name": name,
            "legendgroup": name,
            "showlegend": (column, row) == panels[0],
            "marker": marker,
        }
        for name, marker in looks.items()
        if drawn[name]
        for column, row in panels
    ]
    return figure(
        traces,
        f"{short(data.study_name, 50)}: {n} objectives, pair by pair",
        lines=[
            f"{architectures(front)} of {architectures(found)} feasible architectures are on the "
            f"front of all {data.objectives}{and_points(front)}"
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
