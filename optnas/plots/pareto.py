"""Two objectives against each other, a third as colour, a fourth as size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from optuna.study import Study

from optnas.errors import InputError
from optnas.pareto.architectures import ArchitectureRecord
from optnas.pareto.baselines import baseline_standings
from optnas.pareto.confirmed import Standing
from optnas.pareto.dominance import nondominated
from optnas.pareto.noise import interval
from optnas.pareto.snapshot import Snapshot
from optnas.plots.confirmed import again_traces
from optnas.plots.points import markers, points_of, several_objectives
from optnas.plots.scales import colors, position, value_axis
from optnas.plots.style import BLUE, DRAWN, GREY, INK, VERMILLION, figure, spread
from optnas.plots.texts import drawn_note, label, short
from optnas.utils.text import definitions, number, ranges


class ParetoData(NamedTuple):
    """The data of the Pareto figure.

    Attributes:
        study_name: Of the study.
        names: Of the objectives.
        maximized: Whether each is maximised.
        x: The position of the objective on the horizontal axis.
        y: The position of the objective on the vertical axis.
        color: The position of the objective shown as colour; None without a third one.
        size: The position of the objective shown as size; None without a fourth one.
        points: The architectures.
        plane: The trials that no other one dominates in `x` and `y` alone.
        again: The trials that were evaluated again, with success.
        dominating: For each baseline the architectures on the front that dominate it, by trial.
        missing: For each baseline that nothing dominates, what the nearest network lacks.
        definitions: The definitions of the counts among the objectives.
    """

    study_name: str
    names: list[str]
    maximized: list[bool]
    x: int
    y: int
    color: int | None
    size: int | None
    points: list[ArchitectureRecord]
    plane: tuple[int, ...]
    again: list[Standing]
    dominating: dict[str, tuple[int, ...]]
    missing: dict[str, str]
    definitions: str


def pareto_data(
    study: Study | Snapshot,
    x: str | None = None,
    y: str | None = None,
    color: str | None = None,
    size: str | None = None,
) -> ParetoData:
    """The architectures of a study, and which of them are on the front.

    Args:
        study: Any multi-objective study, or a snapshot of it.
        x: Name of the objective on the horizontal axis; by default the first that is free.
        y: Name of the objective on the vertical axis; by default the first that is free.
        color: Name of the objective shown as colour; by default the next one.
        size: Name of the objective shown as the markers' size; by default the next one.

    Raises:
        InputError: There is no such objective, one is asked for twice, there is only one, or no
            COMPLETE trial.
    """
    seen = Snapshot.of(study)
    names = several_objectives(seen)
    chosen = _chosen(names, {"y": y, "x": x, "color": color, "size": size})
    points = points_of(seen)
    feasible = [p for p in points if p.feasible]
    plane = np.array([(p.losses[chosen["x"]], p.losses[chosen["y"]]) for p in feasible])
    members = {p.number for p in points if p.on_front and p.baseline is None}
    return ParetoData(
        study_name=seen.study.study_name,
        names=names,
        maximized=seen.maximized,
        x=chosen["x"],
        y=chosen["y"],
        color=chosen.get("color"),
        size=chosen.get("size"),
        points=points,
        plane=tuple(feasible[i].number for i in np.flatnonzero(nondominated(plane))),
        again=[standing for standing in seen.standing.values() if standing.member.n],
        dominating={
            p.baseline: tuple(n for n in p.dominated_by if n in members)
            for p in points
            if p.baseline is not None
        },
        missing={
            str(found.baseline.baseline): found.text()
            for found in baseline_standings(seen)
            if not found.dominated_by
        },
        definitions=definitions(_measured(seen)),
    )


def _measured(study: Snapshot) -> set[str]:
    """The objectives that optnas measured: those of another study may count anything."""
    return {name for t in study.complete for name in study.names if name in t.user_attrs}


def _chosen(names: Sequence[str], asked: Mapping[str, str | None]) -> dict[str, int]:
    """The position of the objective for each role: the one asked for, or the next free one."""
    roles: dict[str, str] = {}
    for role, name in asked.items():
        if name is None:
            continue
        if name not in names:
            raise InputError(f"unknown objective {name!r}; there are: {', '.join(names)}")
        if name in roles:
            raise InputError(
                f"{role} and {roles[name]} are both {name!r}; give two of: {', '.join(names)}"
            )
        roles[name] = role
    free = [name for name in names if name not in roles]
    filled = {role: name or (free.pop(0) if free else None) for role, name in asked.items()}
    return {role: names.index(name) for role, name in filled.items() if name is not None}


def pareto_figure(data: ParetoData) -> go.Figure:
    """Two objectives against each other, a third as colour, a fourth as size.

    The line joins the architectures that are best in the plane. Full markers are the members of the
    front of all objectives, faint ones are dominated, crosses break a bound, diamonds are
    baselines; a faint box holds what is worse than a baseline in both.
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
        where = position(sizes)
        marker["size"] = [round(math.sqrt(49 + 527 * where(v)), 1) for v in sizes]  # 7 to 24 px
        notes.append(
            f"size of a point: {short(data.names[data.size])}, from {number(min(sizes))} (small) "
            f"to {number(max(sizes))} (large)"
        )
    traces += [
        _line(data),
        _points(data, members)
        | _errors(data, members)
        | {"name": _front_name(data), "marker": marker},
        *again_traces(data.again, data.names, data.x, data.y),
        *_baselines(data),
    ]
    on_front = sum(p.on_front for p in data.points)
    return figure(
        traces,
        f"{short(data.study_name, 60)}: {on_front} of {len(data.points)} architectures on the "
        "front",
        lines=[_verdict(data, name) for name in data.dominating],
        notes=[*notes, data.definitions],
        xaxis=_axis(data, data.x),
        yaxis=_axis(data, data.y),
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
                "array": [max(e[1] - v, 0.0) for e, v in zip(ends, values, strict=True)],
                "arrayminus": [max(v - e[0], 0.0) for e, v in zip(ends, values, strict=True)],
                "color": GREY,
                "thickness": 1,
                "width": 2,
            }
    return bars


def _line(data: ParetoData) -> dict[str, Any]:
    plane = set(data.plane)
    best = sorted((p for p in data.points if p.number in plane), key=lambda p: p.values[data.x])
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
    ends = [
        (min if data.maximized[i] else max)(p.values[i] for p in data.points)
        for i in (data.x, data.y)
    ]
    return [
        {
            "type": "scatter",
            "x": [p.values[data.x], ends[0], ends[0], p.values[data.x]],
            "y": [p.values[data.y], p.values[data.y], ends[1], ends[1]],
            "mode": "lines",
            "fill": "toself",
            "fillcolor": "rgba(213, 94, 0, 0.06)",
            "line": {"width": 0},
            "hoverinfo": "skip",
            "name": "worse than a baseline in both",
            "legendgroup": "boxes",
            "showlegend": i == 0,
        }
        for i, p in enumerate(p for p in data.points if p.baseline is not None)
    ]


def _verdict(data: ParetoData, baseline: str) -> str:
    """A sentence about a baseline and the networks that dominate it."""
    name, dominating = f"baseline {short(baseline)}", data.dominating[baseline]
    if not dominating:
        return f"{name}: {data.missing.get(baseline, 'on the front')}"
    who = "trial" if len(dominating) == 1 else f"{len(dominating)} members of the front: trials"
    return f"{name}: dominated by {who} {ranges(dominating, 6)}"


def _axis(data: ParetoData, i: int) -> dict[str, Any]:
    return value_axis(data.names[i], data.maximized[i], [p.values[i] for p in data.points])
