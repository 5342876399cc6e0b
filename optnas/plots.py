"""Figures: first the data, as a NamedTuple that can be compared, then the plotly figure."""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go
from optuna.study import Study

from optnas.dominance import losses, nondominated, wants_log
from optnas.errors import InputError
from optnas.pareto import entries, maximized, objective_names
from optnas.text import definitions, number


class ParetoPoint(NamedTuple):
    """One architecture: its trial, its name, the values of all objectives, and where it stands."""

    number: int
    architecture: str
    values: tuple[float, ...]
    feasible: bool
    on_front: bool
    in_plane: bool
    baseline: str | None


class ParetoData(NamedTuple):
    """What the Pareto figure shows.

    `x`, `y` and `color` are positions of objectives; `color` is None with two of them.
    `on_front` of a point refers to all objectives, `in_plane` to `x` and `y` alone. `definitions`
    says what the counts among the objectives count.
    """

    study_name: str
    names: list[str]
    maximized: list[bool]
    x: int
    y: int
    color: int | None
    points: list[ParetoPoint]
    definitions: str


def pareto_data(
    study: Study, x: str | None = None, y: str | None = None, color: str | None = None
) -> ParetoData:
    """The COMPLETE trials of a study, one for each architecture, and which are on the front.

    Args:
        study: Any multi-objective study.
        x: Name of the objective on the horizontal axis; by default the first that isn't `y`.
        y: Name of the objective on the vertical axis; by default the first that isn't `x`.
        color: Name of the objective shown as colour; by default the next one.

    Raises:
        InputError: There is no such objective, only one, or no COMPLETE trial.
    """
    names = objective_names(study)
    if len(names) < 2:
        raise InputError(
            f"study {study.study_name!r} has a single objective ({names[0]}): a front needs two"
        )
    for name in (x, y, color):
        if name is not None and name not in names:
            raise InputError(f"unknown objective {name!r}; there are: {', '.join(names)}")
    y = y or next(name for name in names if name != x)
    x = x or next(name for name in names if name != y)
    if x == y:
        raise InputError(f"x and y are both {x!r}; give two of: {', '.join(names)}")
    color = color or next((name for name in names if name not in (x, y)), None)

    found = entries(study)
    if not found:
        raise InputError(f"study {study.study_name!r} has no COMPLETE trial yet: run it first")
    plane = [names.index(x), names.index(y)]
    feasible = [entry.trial for entry in found if entry.feasible]
    points = losses([t.values for t in feasible], study.directions)[:, plane]
    in_plane = {t.number for t, n in zip(feasible, nondominated(points), strict=True) if n}
    return ParetoData(
        study_name=study.study_name,
        names=names,
        maximized=maximized(study),
        x=plane[0],
        y=plane[1],
        color=None if color is None else names.index(color),
        points=[
            ParetoPoint(
                number=entry.trial.number,
                architecture=entry.architecture,
                values=tuple(entry.trial.values),
                feasible=entry.feasible,
                on_front=entry.on_front,
                in_plane=entry.trial.number in in_plane,
                baseline=entry.baseline,
            )
            for entry in found
        ],
        definitions=definitions({n for e in found for n in names if n in e.trial.user_attrs}),
    )


def pareto_figure(data: ParetoData) -> go.Figure:
    """Two objectives against each other, a third as colour.

    The line joins what is best in the plane; full markers are the members of the front of all
    objectives, faint ones are dominated, crosses break a bound, diamonds are baselines.
    """
    trials = [p for p in data.points if p.baseline is None]
    members = [p for p in trials if p.on_front]
    line = sorted((p for p in data.points if p.in_plane), key=lambda p: p.values[data.x])
    objectives = len(data.names)
    figure = go.Figure()
    figure.add_scatter(
        **_xy(data, [p for p in trials if p.feasible and not p.on_front]),
        mode="markers",
        name="dominated",
        marker={"size": 7, "color": "#9a9a9a", "opacity": 0.45},
    )
    infeasible = [p for p in trials if not p.feasible]
    if infeasible:
        figure.add_scatter(
            **_xy(data, infeasible),
            mode="markers",
            name="breaks a bound",
            marker={"size": 7, "color": "#9a9a9a", "symbol": "x-thin-open", "opacity": 0.6},
        )
    figure.add_scatter(
        x=[p.values[data.x] for p in line],
        y=[p.values[data.y] for p in line],
        mode="lines",
        name=f"best of {data.names[data.x]} and {data.names[data.y]}",
        line={
            "color": "#333333",
            "width": 1.5,
            "shape": "vh" if data.maximized[data.x] else "hv",
        },
        hoverinfo="skip",
    )
    figure.add_scatter(
        **_xy(data, members),
        mode="markers",
        name="front" if objectives == 2 else f"front of all {objectives} objectives",
        marker={"size": 11, "line": {"width": 1, "color": "white"}, **_color(data, members)},
    )
    baselines = [p for p in data.points if p.baseline is not None]
    if baselines:
        figure.add_scatter(
            **_xy(data, baselines),
            mode="markers+text",
            name="baselines",
            text=[html.escape(p.baseline or "") for p in baselines],
            # On the side of the line where nothing is better, so that it doesn't cross the name.
            textposition="top center" if data.maximized[data.y] else "bottom center",
            cliponaxis=False,
            marker={
                "size": 14,
                "symbol": "diamond",
                "color": "#d55e00",
                "line": {"width": 1, "color": "white"},
            },
        )
    figure.update_layout(
        template="plotly_white",
        font={"size": 14},
        title={
            "text": f"{html.escape(data.study_name)}: {sum(p.on_front for p in data.points)} of "
            f"{len(data.points)} architectures on the front",
            "x": 0.02,
        },
        xaxis=_axis(data, data.x),
        yaxis=_axis(data, data.y),
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hoverlabel={"align": "left", "bgcolor": "white"},
        margin={"t": 120, "b": 100},
    )
    if data.definitions:
        figure.add_annotation(
            text="<br>".join(map(html.escape, textwrap.wrap(data.definitions, 100))),
            align="left",
            font={"size": 11, "color": "#666666"},
            showarrow=False,
            x=0,
            y=0,
            xref="paper",
            yref="paper",
            xanchor="left",
            yanchor="top",
            yshift=-60,
        )
    return figure


def _xy(data: ParetoData, points: Sequence[ParetoPoint]) -> dict[str, Any]:
    return {
        "x": [p.values[data.x] for p in points],
        "y": [p.values[data.y] for p in points],
        "customdata": [p.number for p in points],
        "hovertext": [_hover(data, p) for p in points],
        "hoverinfo": "text",
    }


def _hover(data: ParetoData, point: ParetoPoint) -> str:
    lines = textwrap.wrap(point.architecture, 70)
    head = f"<b>trial {point.number}</b>"
    values = [
        f"{html.escape(name)}: {number(value)}"
        for name, value in zip(data.names, point.values, strict=True)
    ]
    return "<br>".join([head, *map(html.escape, lines), *values])


def _axis(data: ParetoData, i: int) -> dict[str, Any]:
    better = "more" if data.maximized[i] else "less"
    values = [p.values[i] for p in data.points]
    axis: dict[str, Any] = {"title": {"text": f"{html.escape(data.names[i])} ({better} is better)"}}
    if not wants_log(values):
        return axis | {"exponentformat": "SI"}
    ticks = _log_ticks(values)
    return axis | {"type": "log", "tickvals": ticks, "ticktext": [_si(tick) for tick in ticks]}


def _color(data: ParetoData, members: Sequence[ParetoPoint]) -> dict[str, Any]:
    if data.color is None:
        return {"color": "#0072b2"}
    values = [p.values[data.color] for p in members]
    bar: dict[str, Any] = {
        "title": {"text": html.escape(data.names[data.color])},
        "exponentformat": "SI",
    }
    if wants_log(values):
        ticks = _log_ticks(values)
        bar |= {"tickvals": [math.log10(t) for t in ticks], "ticktext": [_si(t) for t in ticks]}
        values = [math.log10(v) for v in values]
    return {"color": values, "colorscale": "Viridis", "showscale": True, "colorbar": bar}


def _log_ticks(values: Sequence[float]) -> list[float]:
    """1, 2, 5, 10, … over up to three decades, powers of ten over more."""
    low, high = math.log10(min(values)), math.log10(max(values))
    steps = (1, 2, 5) if high - low < 3 else (1,)
    decades = range(math.floor(low), math.ceil(high) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    return [tick for tick in ticks if low - 0.3 <= math.log10(tick) <= high + 0.3]


def _si(value: float) -> str:
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"
