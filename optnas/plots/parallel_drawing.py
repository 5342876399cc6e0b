"""The figure of the parallel coordinates: a line for each trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from optnas.plots.parallel import Line, ParallelData
from optnas.plots.scales import color_bar, named_axis, position, shade
from optnas.plots.style import FAINT, GREY, INK, NO_PLACE, figure
from optnas.plots.texts import drawn_note, label, short

ABSENT = -0.16
"""The height at which the lines of trials without a decision pass."""
BINS = 8
"""The number of colours of the lines; each colour is one trace."""


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
    traces = [
        _paths(data, others, {})
        | {"name": "others", "line": {"color": GREY, "width": 0.7}, "opacity": 0.3},
        *(
            _paths(data, lines, aside)
            | {
                "name": kind,
                "showlegend": i == min(bins),
                "legendgroup": kind,
                "line": {"color": shade((i + 0.5) / BINS), "width": 1.8},
                "opacity": 0.85,
            }
            for i, lines in sorted(bins.items())
        ),
        _rules(data),
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
        annotations=_labels(data),
        xaxis=named_axis(
            [_place(data, i) for i in range(len(data.axes))],
            [
                label(axis.name, 24) if axis.more is None else f"<b>{label(axis.name, 24)}</b>"
                for axis in data.axes
            ],
            tickangle=-40,
            tickfont={"size": 11},
            range=[-0.1, _place(data, len(data.axes) - 1) + 0.6],
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


def _place(data: ParallelData, column: int) -> float:
    """Objectives stand a little apart."""
    return column + (0.4 if data.axes[column].more is not None else 0.0)


def _paths(data: ParallelData, lines: Sequence[Line], aside: dict[int, float]) -> dict[str, Any]:
    """Lines as one trace with gaps between them; `aside` moves each within a level."""
    x: list[float | None] = []
    y: list[float | None] = []
    texts, numbers = [], []
    for line in lines:
        for i, (axis, at) in enumerate(zip(data.axes, line.positions, strict=True)):
            room = min(0.5 * axis.gap, 0.12) if at is not None else 0.05
            x.append(_place(data, i))
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


def _rules(data: ParallelData) -> dict[str, Any]:
    """The axes."""
    x: list[float | None] = []
    y: list[float | None] = []
    for i in range(len(data.axes)):
        x += [_place(data, i), _place(data, i), None]
        y += [0.0, 1.0, None]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "line": {"color": INK, "width": 1},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _labels(data: ParallelData) -> list[dict[str, Any]]:
    """The ticks of every axis, at its right."""
    return [
        {
            "x": _place(data, i),
            "y": at,
            "text": label(text, 12),
            "showarrow": False,
            "xanchor": "left",
            "font": {"size": 10, "color": FAINT},
            "bgcolor": "rgba(255,255,255,0.75)",
            "borderpad": 0,
        }
        for i, axis in enumerate(data.axes)
        for at, text in axis.ticks
    ]
