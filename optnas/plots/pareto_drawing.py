"""Draws two objectives against each other, a third as colour, a fourth as size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from optnas.pareto.architectures import ArchitectureRecord
from optnas.pareto.noise import interval
from optnas.plots.confirmed import again_traces
from optnas.plots.pareto import ParetoData
from optnas.plots.points import and_points, architectures, markers
from optnas.plots.scales import colors, focused_axis, has_place, placed, position
from optnas.plots.style import BLUE, DRAWN, GREY, INK, VERMILLION, figure, spread
from optnas.plots.texts import drawn_note, label, short
from optnas.utils.text import number, ranges


def pareto_figure(data: ParetoData) -> go.Figure:
    """Two objectives against each other, a third as colour, a fourth as size.

    The line joins the architectures that are best in the plane. Full markers are the members of the
    front of all objectives, faint ones are dominated, crosses break a bound, diamonds are
    baselines; a faint box holds what is worse than a baseline in both. Values far worse than the
    others lie outside (see `optnas.plots.scales.focused_axis`).
    """
    found = [p for p in data.points if p.baseline is None]
    kinds = {
        "dominated": [p for p in found if p.feasible and not p.on_front],
        "breaks a bound": [p for p in found if not p.feasible],
        _front_name(data): [p for p in found if p.on_front],
    }
    drawn = {name: spread(points, DRAWN) for name, points in kinds.items()}
    notes = [drawn_note(drawn[name], all_, f"are drawn: {name}") for name, all_ in kinds.items()]
    faint = {"size": 7, "color": GREY, "opacity": 0.45}
    dominated, infeasible, members = drawn.values()
    traces = _boxes(data)
    traces.append(_points(data, dominated) | {"name": "dominated", "marker": faint})
    if infeasible:
        crosses = faint | {"symbol": "x-thin-open", "opacity": 0.6}
        traces.append(_points(data, infeasible) | {"name": "breaks a bound", "marker": crosses})
    marker = {"size": 11, "line": {"width": 1, "color": "white"}, "color": BLUE}
    if data.color is not None:
        marker |= colors(data.names[data.color], [p.values[data.color] for p in members])
    if data.size is not None and members:
        sizes = [p.values[data.size] for p in members]
        where, known = position(sizes), placed(sizes) or [0.0]
        marker["size"] = [round(math.sqrt(49 + 527 * where(v)), 1) for v in sizes]  # 7 to 24 px
        notes.append(
            f"size of a point: {short(data.names[data.size])}, from {number(min(known))} (small) "
            f"to {number(max(known))} (large)"
        )
    traces += [
        *_reference(data),
        _line(data),
        _points(data, members)
        | _errors(data, members)
        | {"name": _front_name(data), "marker": marker},
        *again_traces(data.again, data.names, data.x, data.y),
        *_baselines(data),
    ]
    front = [p for p in data.points if p.on_front]
    xaxis, yaxis = _axis(data, data.x), _axis(data, data.y)
    if "range" in xaxis or "range" in yaxis:
        notes.append("values far worse than the others may lie outside: a double-click shows all")
    return figure(
        traces,
        f"{short(data.study_name, 60)}: {architectures(front)} of {architectures(data.points)} "
        f"architectures on the front{and_points(front)}",
        lines=[_verdict(data, name) for name in data.dominating],
        notes=[*notes, data.definitions],
        xaxis=xaxis,
        yaxis=yaxis,
    )


def _front_name(data: ParetoData) -> str:
    n = len(data.names)
    return "front" if n == 2 else f"front of all {n} objectives"


def _points(data: ParetoData, points: Sequence[ArchitectureRecord]) -> dict[str, Any]:
    return markers(points, data.x, data.y, data.names)


def _errors(data: ParetoData, points: Sequence[ArchitectureRecord]) -> dict[str, Any]:
    """Bars for the 95 % intervals of the objectives that are drawn."""
    bars = {}
    for axis, i in (("error_x", data.x), ("error_y", data.y)):
        values = [p.values[i] for p in points]
        found = [interval(p.trial, data.names[i]) for p in points]
        if any(found):
            ends = [ends or (v, v) for ends, v in zip(found, values, strict=True)]
            bars[axis] = {
                "type": "data",
                "symmetric": False,
                "array": [max(0.0, e[1] - v) for e, v in zip(ends, values, strict=True)],
                "arrayminus": [max(0.0, v - e[0]) for e, v in zip(ends, values, strict=True)],
                "color": GREY,
                "thickness": 1,
                "width": 2,
            }
    return bars


def _reference(data: ParetoData) -> list[dict[str, Any]]:
    """A dotted line at the limit of each of the two objectives that has one."""
    if not any(limit is not None for limit in data.reference):
        return []
    lines: list[dict[str, Any]] = []
    for axis, i, other in (("x", data.x, data.y), ("y", data.y, data.x)):
        limit = data.reference[i]
        known = placed(p.values[other] for p in data.points)
        drawn = limit is not None and known != []
        own, along = ([limit, limit], [min(known), max(known)]) if drawn else ([], [])
        shown = drawn and not any(line["showlegend"] for line in lines)
        lines.append(
            {
                "type": "scatter",
                "x": own if axis == "x" else along,
                "y": along if axis == "x" else own,
                "mode": "lines",
                "name": "reference: beyond it nothing gains",
                "legendgroup": "reference",
                "showlegend": shown,
                "line": {"color": VERMILLION, "width": 1.5, "dash": "dot"},
                "hoverinfo": "skip",
                "meta": {"reference": axis},
            }
        )
    return lines


def _line(data: ParetoData) -> dict[str, Any]:
    plane = set(data.plane)
    best = [p for p in data.points if p.number in plane]
    best = [p for p in best if has_place(p.values[data.x]) and has_place(p.values[data.y])]
    best.sort(key=lambda p: p.values[data.x])
    return {
        "type": "scatter",
        "x": [p.values[data.x] for p in best],
        "y": [p.values[data.y] for p in best],
        "mode": "lines",
        "name": f"best of {label(data.names[data.x], 24)} and {label(data.names[data.y], 24)}",
        "line": {"color": INK, "width": 1.5, "shape": "vh" if data.maximized[data.x] else "hv"},
        "hoverinfo": "skip",
    }


def _baselines(data: ParetoData) -> list[dict[str, Any]]:
    baselines = [p for p in data.points if p.baseline is not None]
    if not baselines:
        return []
    own = {
        "name": "baselines",
        "mode": "markers+text",
        "text": [label(p.baseline, 24) for p in baselines],
        # On the side of the line where nothing is better, so that it doesn't cross the name.
        "textposition": "top center" if data.maximized[data.y] else "bottom center",
        "cliponaxis": False,
        "marker": {
            "size": 14,
            "symbol": "diamond",
            "color": VERMILLION,
            "line": {"width": 1, "color": "white"},
        },
    }
    return [_points(data, baselines) | own]


def _boxes(data: ParetoData) -> list[dict[str, Any]]:
    """The box of what each baseline is better than, in both objectives that are drawn."""
    worst = [
        (min if data.maximized[i] else max)(placed(p.values[i] for p in data.points), default=0.0)
        for i in (data.x, data.y)
    ]
    return [
        {
            "type": "scatter",
            **_box(p.values[data.x], p.values[data.y], *worst),
            "mode": "lines",
            "fill": "toself",
            "fillcolor": "rgba(213, 94, 0, 0.06)",
            "line": {"width": 0},
            "hoverinfo": "skip",
            "meta": {"box": p.number},  # the report's page puts other objectives on the axes
            "name": "worse than a baseline in both",
            "legendgroup": "boxes",
            "showlegend": i == 0,
        }
        for i, p in enumerate(p for p in data.points if p.baseline is not None)
    ]


def _box(x: float, y: float, worst_x: float, worst_y: float) -> dict[str, list[float]]:
    """The corners of a baseline's box; none where the baseline itself has no place."""
    if not (has_place(x) and has_place(y)):
        return {"x": [], "y": []}
    return {"x": [x, worst_x, worst_x, x], "y": [y, y, worst_y, worst_y]}


def _verdict(data: ParetoData, baseline: str) -> str:
    """A sentence about a baseline and the networks that dominate it."""
    name, dominating = f"baseline {short(baseline)}", data.dominating[baseline]
    if not dominating:
        return f"{name}: {data.missing.get(baseline, 'on the front')}"
    who = "trial" if len(dominating) == 1 else f"{len(dominating)} members of the front: trials"
    return f"{name}: dominated by {who} {ranges(dominating, 6)}"


def _axis(data: ParetoData, i: int) -> dict[str, Any]:
    baselines = [p.values[i] for p in data.points if p.baseline is not None]
    values = [p.values[i] for p in data.points]
    return focused_axis(data.names[i], data.maximized[i], values, baselines)
