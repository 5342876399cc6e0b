"""The figure of the parallel coordinates: a line for each trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from optnas.plots.axes import Axis
from optnas.plots.parallel import Line, ParallelData
from optnas.plots.scales import color_bar, named_axis, position, shade
from optnas.plots.style import GREY, INK, NO_PLACE, figure
from optnas.plots.texts import drawn_note, label, short, told_apart

ABSENT = -0.16
"""The height at which the lines of trials without a decision pass."""
BINS = 8
"""The number of colours of the lines; each colour is one trace."""
LETTERS = 12
"""The largest number of letters of a tick."""
LETTER, LEAST, APART, MARGINS = 6.2, 34.0, 16.0, 200.0
"""In pixels: a letter, the least distance of two axes, by how much objectives stand apart from
decisions, and the room at both sides of the axes."""
SLOPE, LEFT = 0.8, 40.0
"""The share of a name's length that it takes to the left, at its angle; the room there is, in
pixels. Plotly leaves names out that don't fit."""


def parallel_figure(data: ParallelData) -> go.Figure:
    """A line for each trial, from its decisions at the left to its values at the right."""
    best = [line for line in data.lines if line.best]
    others = [line for line in data.lines if not line.best]
    where = position([line.first for line in best])
    bins: dict[int, list[Line]] = {}
    for line in best:
        bins.setdefault(min(int(where(line.first) * BINS), BINS - 1), []).append(line)
    # Within a level lines lie side by side, in the order of the first objective.
    aside = {line.number: (i + 0.5) / len(best) - 0.5 for i, line in enumerate(best)}
    kind = "front" if data.objectives > 1 else "best"
    places, end = _places(data)
    names = told_apart([axis.name for axis in data.axes], 24)
    before = max(4.0, LETTER * SLOPE * len(names[0]) - LEFT)
    traces = [
        _paths(data, places, others, {})
        | {"name": "others", "line": {"color": GREY, "width": 0.7}, "opacity": 0.3},
        *(
            _paths(data, places, lines, aside)
            | {
                "name": kind,
                "showlegend": i == min(bins),
                "legendgroup": kind,
                "line": {"color": shade((i + 0.5) / BINS), "width": 1.8},
                "opacity": 0.85,
            }
            for i, lines in sorted(bins.items())
        ),
        _rules(data, places),
        *([color_bar(data.first, [line.first for line in best])] if best else []),
    ]
    return figure(
        traces,
        f"{short(data.study_name, 50)}: which decisions lead where",
        lines=_lines(data, kind),
        notes=[
            drawn_note(best, data.best, f"lines are drawn: {kind}"),
            drawn_note(others, data.others, "lines are drawn: others"),
            f"values that are {NO_PLACE} lie at the ends of their axes" if data.endless else "",
        ],
        height=560,
        annotations=_labels(data, places),
        meta={"least_width": round(before + end + MARGINS)},
        xaxis=named_axis(
            places,
            [
                name if axis.more is None else f"<b>{name}</b>"
                for axis, name in zip(data.axes, names, strict=True)
            ],
            tickangle=-40,
            tickfont={"size": 11},
            range=[-before, end],
            ticklabeloverflow="allow",
        ),
        yaxis=named_axis(
            [ABSENT] if any(axis.conditional for axis in data.axes) else [],
            ["absent"],
            range=[ABSENT - 0.06, 1.08],
        ),
    )


def _lines(data: ParallelData, kind: str) -> list[str]:
    what = "on the front" if kind == "front" else "the best"
    lines = [
        f"coloured by {data.first}: {data.best} of {data.best + data.others} trials, {what}"
        "; the better end of each objective is above"
    ]
    decisions = sum(axis.more is None for axis in data.axes)
    if data.chosen_by:
        lines.append(f"{decisions} of {data.decisions} decisions: {data.chosen_by}")
    objectives = len(data.axes) - decisions
    if objectives < data.objectives:
        lines.append(f"the first {objectives} of {data.objectives} objectives")
    return lines


def _places(data: ParallelData) -> tuple[list[float], float]:
    """Where each axis stands, so far from the next that its ticks have room; and where they end."""
    places: list[float] = []
    at, before = 0.0, None
    for axis in data.axes:
        if places and before is None and axis.more is not None:
            at += APART
        places.append(at)
        longest = max(map(len, _ticks(axis)), default=0)
        at, before = at + max(LEAST, LETTER * (longest + 2)), axis.more
    return places, at


def _paths(
    data: ParallelData, places: Sequence[float], lines: Sequence[Line], aside: dict[int, float]
) -> dict[str, Any]:
    """Lines as one trace with gaps between them; `aside` moves each within a level."""
    x: list[float | None] = []
    y: list[float | None] = []
    texts, numbers = [], []
    for line in lines:
        for i, (axis, at) in enumerate(zip(data.axes, line.positions, strict=True)):
            room = _room(axis) if at is not None else 0.05
            x.append(places[i])
            y.append((ABSENT if at is None else at) + room * aside.get(line.number, 0.0))
            texts.append(f"{label(axis.name)}: {label(line.values[i])}")
            numbers.append(line.number)
        x.append(None)
        y.append(None)
        texts.append("")
        numbers.append(line.number)
    trace = {"type": "scatter", "mode": "lines", "x": x, "y": y, "customdata": numbers}
    if not aside:
        return trace | {"hoverinfo": "skip"}
    return trace | {
        "text": texts,
        "hovertemplate": "trial %{customdata}<br>%{text}<extra></extra>",
    }


def _room(axis: Axis) -> float:
    """The height in which the lines of a level lie side by side."""
    return min(0.5 * axis.gap, 0.12)


def _rules(data: ParallelData, places: Sequence[float]) -> dict[str, Any]:
    """The axes, as high as the lines of their first and last levels reach."""
    x: list[float | None] = []
    y: list[float | None] = []
    for place, axis in zip(places, data.axes, strict=True):
        beyond = _room(axis) / 2
        x += [place, place, None]
        y += [-beyond, 1.0 + beyond, None]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "line": {"color": INK, "width": 1},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _labels(data: ParallelData, places: Sequence[float]) -> list[dict[str, Any]]:
    """The ticks of every axis, at its right."""
    return [
        {
            "x": place,
            "y": at,
            "text": text,
            "showarrow": False,
            "xanchor": "left",
            "font": {"size": 10, "color": INK},
            "bgcolor": "rgba(255,255,255,0.9)",
            "borderpad": 0,
        }
        for place, axis in zip(places, data.axes, strict=True)
        for (at, _), text in zip(axis.ticks, _ticks(axis), strict=True)
    ]


def _ticks(axis: Axis) -> list[str]:
    return told_apart([text for _, text in axis.ticks], LETTERS)
