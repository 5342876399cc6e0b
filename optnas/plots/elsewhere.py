"""A study's networks here and on another device, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from optnas.errors import InputError
from optnas.pareto.dominance import losses, nondominated
from optnas.pareto.elsewhere import DeviceComparison, Moved
from optnas.pareto.snapshot import Snapshot
from optnas.plots.scales import value_axis
from optnas.plots.style import BLUE, GREY, VERMILLION, figure, stacked
from optnas.plots.texts import hover, label


def elsewhere_figure(study: Snapshot, found: DeviceComparison) -> go.Figure:
    """Two panels: the measured networks here, and on the other device.

    Both have the first objective that isn't replaced on their vertical axis. Full markers are on
    the front of all objectives in that panel, and a network has one colour in both. The line joins
    those that are best in the two objectives of the panel alone.

    Args:
        study: The study.
        found: Its networks on the other device.

    Raises:
        InputError: The study has one objective alone, or no network was measured.
    """
    others = [i for i in range(len(study.names)) if i != found.position]
    if not others:
        raise InputError(f"{found.device.replaces} is the only objective: no plane to draw")
    if not found.measured:
        raise InputError("no network was measured there")
    y = others[0]
    traces: list[dict[str, Any]] = []
    for panel in ("here", "there"):
        axes = {"xaxis": "x" if panel == "here" else "x2", "yaxis": "y"}
        traces.append(_line(study, found, y, panel) | axes)
        for changed, color in ((False, BLUE), (True, VERMILLION)):
            networks = [one for one in found.measured if (one in found.changed) == changed]
            for full in (True, False):
                some = [one for one in networks if _on_front(one, panel) == full]
                if some:
                    traces.append(_markers(study, found, some, y, panel, color, full=full) | axes)
        if panel == "there" and found.predicted:
            told = _markers(study, found, found.predicted, y, panel, GREY, full=False) | axes
            cross = {"symbol": "x", "size": 6, "color": GREY}
            name = {"name": "predicted, not measured", "showlegend": True}
            traces.append(told | name | {"marker": cross})
    traces.append(_legend("circle", BLUE, "on the front"))
    traces.append(_legend("circle-open", BLUE, "not on it"))
    traces.append(_legend("circle", VERMILLION, "another rank there, beyond noise"))
    left, right = stacked([1, 1], 0.06)
    device, at = found.device, found.position
    maximized = study.maximized
    there = [one.there for one in (*found.measured, *found.predicted)]
    return figure(
        traces,
        f"Here, and on {device.label}",
        xaxis=value_axis(f"{device.replaces} here", maximized[at], [o.here for o in found.measured])
        | {"domain": left},
        xaxis2=value_axis(f"{device.metric} there", maximized[at], there)
        | {"domain": right, "anchor": "y"},
        yaxis=value_axis(study.names[y], maximized[y], [_value(o, y) for o in found.measured]),
        height=480,
    )


def _on_front(one: Moved, panel: str) -> bool:
    return one.front_here if panel == "here" else one.front_there


def _value(one: Moved, objective: int) -> float:
    return one.record.values[objective]


def _across(one: Moved, panel: str) -> float:
    return one.here if panel == "here" else one.there


def _markers(
    study: Snapshot,
    found: DeviceComparison,
    networks: Sequence[Moved],
    y: int,
    panel: str,
    color: str,
    *,
    full: bool,
) -> dict[str, Any]:
    device = found.device
    about = "" if networks[0].rank_here else " (predicted)"
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [_across(one, panel) for one in networks],
        "y": [_value(one, y) for one in networks],
        "customdata": [one.trial for one in networks],
        "hovertext": [
            hover(
                f"trial {one.trial}",
                one.record.architecture,
                [
                    (study.names[y], _value(one, y)),
                    (f"{device.replaces} here", one.here),
                    (f"{device.metric} on {device.label}{about}", one.there),
                ],
            )
            for one in networks
        ],
        "hoverinfo": "text",
        "marker": {"symbol": "circle" if full else "circle-open", "size": 9, "color": color},
        "showlegend": False,
    }
    if panel == "there" and any(one.error for one in networks):
        bars = [one.error * one.there for one in networks]
        trace["error_x"] = {"type": "data", "array": bars, "thickness": 1, "width": 2}
    return trace


def _line(study: Snapshot, found: DeviceComparison, y: int, panel: str) -> dict[str, Any]:
    """The networks that are best in the two objectives of a panel alone."""
    rows = [(_across(one, panel), _value(one, y)) for one in found.measured]
    points = losses(rows, [study.directions[found.position], study.directions[y]])
    best = sorted(row for row, kept in zip(rows, nondominated(points), strict=True) if kept)
    shape = "vh" if study.maximized[found.position] else "hv"
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [x for x, _ in best],
        "y": [value for _, value in best],
        "line": {"color": GREY, "width": 1, "shape": shape},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _legend(symbol: str, color: str, name: str) -> dict[str, Any]:
    """A trace without points that explains a marker."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [None],
        "y": [None],
        "name": label(name, 60),
        "marker": {"symbol": symbol, "size": 9, "color": color},
    }
