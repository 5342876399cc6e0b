"""Two objectives against each other, a third as colour, a fourth as size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from optuna.study import Study

from optnas.errors import InputError
from optnas.pareto.dominance import losses, nondominated
from optnas.pareto.front import complete_trials
from optnas.plots.confirmed import Again, again_of, again_traces
from optnas.plots.points import Point, hovering, points_of, several_objectives
from optnas.plots.style import (
    BLUE,
    DRAWN,
    GREY,
    INK,
    VERMILLION,
    colors,
    figure,
    label,
    position,
    short,
    spread,
    value_axis,
)
from optnas.study.objectives import maximized
from optnas.utils.text import definitions, number, ranges


class ParetoData(NamedTuple):
    """What the Pareto figure shows.

    `x`, `y`, `color` and `size` are positions of objectives; `color` and `size` are None where
    there are no more. `plane` are the trials that are best of `x` and `y` alone. `dominating` has
    for each baseline the trials of the front that are no worse in any objective and better in one.
    `again` are members of the front that were evaluated again.
    `definitions` says what the counts among the objectives count.
    """

    study_name: str
    names: list[str]
    maximized: list[bool]
    x: int
    y: int
    color: int | None
    size: int | None
    points: list[Point]
    plane: tuple[int, ...]
    again: list[Again]
    dominating: dict[str, tuple[int, ...]]
    definitions: str


def pareto_data(
    study: Study,
    x: str | None = None,
    y: str | None = None,
    color: str | None = None,
    size: str | None = None,
) -> ParetoData:
    """The COMPLETE trials of a study, one for each architecture, and which are on the front.

    Args:
        study: Any multi-objective study.
        x: Name of the objective on the horizontal axis; by default the first that is free.
        y: Name of the objective on the vertical axis; by default the first that is free.
        color: Name of the objective shown as colour; by default the next one.
        size: Name of the objective shown as the markers' size; by default the next one.

    Raises:
        InputError: There is no such objective, one is asked for twice, there is only one, or no
            COMPLETE trial.
    """
    names = several_objectives(study)
    chosen = _chosen(names, {"y": y, "x": x, "color": color, "size": size})
    points = points_of(study)
    feasible = [p for p in points if p.feasible]
    values = losses([p.values for p in feasible], study.directions)
    plane = nondominated(values[:, [chosen["x"], chosen["y"]]])
    return ParetoData(
        study_name=study.study_name,
        names=names,
        maximized=maximized(study),
        x=chosen["x"],
        y=chosen["y"],
        color=chosen.get("color"),
        size=chosen.get("size"),
        points=points,
        plane=tuple(p.number for p, best in zip(feasible, plane, strict=True) if best),
        again=again_of(study),
        dominating=_dominating(study, points),
        definitions=definitions(_measured(study, names)),
    )


def _measured(study: Study, names: Sequence[str]) -> set[str]:
    """Which objectives optnas measured: those of another study may count anything."""
    return {name for t in complete_trials(study) for name in names if name in t.user_attrs}


def _chosen(names: Sequence[str], asked: Mapping[str, str | None]) -> dict[str, int]:
    """The position of the objective for each role: the one that is asked for, or the next."""
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


def _dominating(study: Study, points: Sequence[Point]) -> dict[str, tuple[int, ...]]:
    """For each baseline the members of the front that dominate it."""
    members = [p for p in points if p.on_front and p.baseline is None]
    values = losses([p.values for p in members], study.directions)
    dominating = {}
    for point in points:
        if point.baseline is not None:
            own = losses([point.values], study.directions)
            better = np.all(values <= own, axis=1) & np.any(values < own, axis=1)
            dominating[point.baseline] = tuple(
                sorted(members[i].number for i in np.flatnonzero(better))
            )
    return dominating


def pareto_figure(data: ParetoData) -> go.Figure:
    """Two objectives against each other, a third as colour, a fourth as size.

    The line joins what is best in the plane; full markers are the members of the front of all
    objectives, faint ones are dominated, crosses break a bound, diamonds are baselines.
    """
    found = [p for p in data.points if p.baseline is None]
    kinds = {
        "dominated": [p for p in found if p.feasible and not p.on_front],
        "breaks a bound": [p for p in found if not p.feasible],
        _front_name(data): [p for p in found if p.on_front],
    }
    drawn = {name: spread(points, DRAWN) for name, points in kinds.items()}
    notes = [
        f"{len(drawn[name])} of {len(points)} are drawn: {name}"
        for name, points in kinds.items()
        if len(points) > len(drawn[name])
    ]
    faint = {"size": 7, "color": GREY, "opacity": 0.45}
    dominated, infeasible, members = drawn.values()
    traces = [_points(data, dominated) | {"name": "dominated", "marker": faint}]
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
        _points(data, members) | {"name": _front_name(data), "marker": marker},
        *again_traces(data.again, data.names, data.x, data.y),
        *_baselines(data),
    ]
    on_front = sum(p.on_front for p in data.points)
    return figure(
        traces,
        f"{short(data.study_name, 60)}: {on_front} of {len(data.points)} architectures on the "
        "front",
        lines=[_verdict(*item) for item in data.dominating.items()],
        notes=[*notes, data.definitions],
        xaxis=_axis(data, data.x),
        yaxis=_axis(data, data.y),
    )


def _front_name(data: ParetoData) -> str:
    n = len(data.names)
    return "front" if n == 2 else f"front of all {n} objectives"


def _points(data: ParetoData, points: Sequence[Point]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [p.values[data.x] for p in points],
        "y": [p.values[data.y] for p in points],
        "customdata": [p.number for p in points],
        **hovering(points, data.names),
    }


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


def _verdict(baseline: str, dominating: Sequence[int]) -> str:
    """What the search has found against a baseline, in a sentence."""
    name = f"baseline {short(baseline)}"
    if not dominating:
        return f"{name}: no network that was found dominates it"
    who = "trial" if len(dominating) == 1 else f"{len(dominating)} members of the front: trials"
    return f"{name}: dominated by {who} {ranges(dominating, 6)}"


def _axis(data: ParetoData, i: int) -> dict[str, Any]:
    return value_axis(data.names[i], data.maximized[i], [p.values[i] for p in data.points])
