"""The trials of each worker over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import plotly.graph_objects as go
from optuna.study import Study

from optnas.errors import InputError
from optnas.pareto.snapshot import Snapshot
from optnas.plots.lanes import kind_of, lanes_of, reason_of, spans_of, without_pauses
from optnas.plots.scales import axis_title, named_axis
from optnas.plots.style import BLUE, GREY, INK, ORANGE, PURPLE, SKY, VERMILLION, figure
from optnas.plots.texts import label, short, wrapped
from optnas.study.attributes import SURPLUS
from optnas.utils.text import duration, plural, ranges

BARS = 2500
"""With more trials, those of one kind that lie close together become one bar."""
COLORS = {
    "complete": BLUE,
    "running": SKY,
    "reused": GREY,
    "pruned": ORANGE,
    "failed": VERMILLION,
    "lost": PURPLE,
}
UNITS = (("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1))
EDGED = 400
"""More bars have no edges, which would hide them."""
PAUSES_NAMED = 4
"""The number of pauses that have a label with their length."""
MARKS = {"reused": "circle-open", "pruned": "triangle-up", "failed": "x", "lost": "diamond"}
"""Marks for the kinds whose bars are easily overlooked."""


class Bar(NamedTuple):
    """A trial, or several of one kind that lie close together.

    Attributes:
        lane: The number of its row.
        kind: A key of `COLORS`.
        start: Seconds since the study began, without the pauses.
        seconds: Its duration, or their durations in all.
        numbers: The trials.
        worker: Machine and process of the first; empty if it isn't known.
        reason: Why it ended without values; of several, that of the first.
    """

    lane: int
    kind: str
    start: float
    seconds: float
    numbers: tuple[int, ...]
    worker: str
    reason: str


class TimelineData(NamedTuple):
    """The data of the timeline.

    Attributes:
        study_name: Of the study.
        began: When its first trial began.
        lanes: The rows; in one row the workers of one machine follow each other.
        bars: The bars in them.
        pauses: Times without any trial, which are cut out: where, and how many seconds.
        seconds: The duration of the study without the pauses.
        busy: The share of that time in which a lane was busy, on average.
        counts: Trials by kind; waiting ones have no bar.
    """

    study_name: str
    began: datetime
    lanes: list[str]
    bars: list[Bar]
    pauses: list[tuple[float, float]]
    seconds: float
    busy: float
    counts: dict[str, int]


def timeline_data(study: Study | Snapshot) -> TimelineData:
    """When each trial ran, and where.

    Raises:
        InputError: No trial has begun.
    """
    seen = Snapshot.of(study)
    trials = [t for t in seen.trials if SURPLUS not in t.user_attrs]
    spans = spans_of(trials)
    if not spans:
        raise InputError(
            f"study {seen.study.study_name!r} has no trial that has begun: run it first"
        )
    lanes, rows = lanes_of(spans)
    clock, pauses, seconds = without_pauses(spans)
    bars = [
        Bar(
            lane=row,
            kind=kind_of(span.trial),
            start=clock(span.start),
            seconds=span.end - span.start,
            numbers=(span.trial.number,),
            worker=span.worker.partition("\n")[0] if span.host else "",
            reason=reason_of(span.trial),
        )
        for span, row in zip(spans, rows, strict=True)
    ]
    return TimelineData(
        study_name=seen.study.study_name,
        began=min(t.datetime_start for t in trials if t.datetime_start is not None),
        lanes=lanes,
        bars=_merged(bars, seconds, len(lanes)),
        pauses=pauses,
        seconds=seconds,
        busy=sum(bar.seconds for bar in bars) / max(seconds * len(lanes), 1e-9),
        counts=dict(Counter(map(kind_of, trials))),
    )


def _merged(bars: list[Bar], seconds: float, lanes: int) -> list[Bar]:
    """The bars; of too many, those that begin within a short time become one."""
    if len(bars) <= BARS:
        return bars
    width = max(seconds, 1e-9) * lanes / BARS
    groups: dict[tuple[int, str, int], list[Bar]] = {}
    for bar in bars:
        groups.setdefault((bar.lane, bar.kind, int(bar.start / width)), []).append(bar)
    return [
        group[0]._replace(
            seconds=sum(bar.seconds for bar in group),
            numbers=tuple(number for bar in group for number in bar.numbers),
        )
        for group in groups.values()
    ]


def timeline_figure(data: TimelineData) -> go.Figure:
    """A row for each worker, a bar for each trial; trials without values are marked."""
    unit, size = next((u, s) for u, s in UNITS if data.seconds >= 2 * s or s == 1)
    least = 0.001 * max(data.seconds, 1e-3)
    traces = []
    for kind, color in COLORS.items():
        bars = [bar for bar in data.bars if bar.kind == kind]
        if bars:
            traces += _bars(bars, kind, color, size, least)
    n = len(data.lanes)
    trials = sum(data.counts.values())
    began = data.began.strftime("%Y-%m-%d %H:%M")
    return figure(
        traces,
        f"{short(data.study_name, 50)}: {plural(trials, 'trial')} in {duration(data.seconds)}",
        lines=_lines(data),
        height=220 + max(n * (26 if n <= 20 else 12), 90),
        barmode="overlay",
        bargap=0.2,
        shapes=[
            {
                "type": "line",
                "x0": at / size,
                "x1": at / size,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": INK, "width": 1, "dash": "dot"},
            }
            for at, _ in data.pauses
        ],
        annotations=[
            {
                "x": at / size,
                "y": 1,
                "yref": "paper",
                "yanchor": "bottom",
                "text": f"pause {duration(pause)}",
                "showarrow": False,
                "font": {"size": 10},
            }
            for at, pause in data.pauses[:PAUSES_NAMED]
        ],
        above=14 * bool(data.pauses),
        xaxis={
            "title": axis_title(f"{unit} since {began}"),
            "range": [-0.01 * data.seconds / size, 1.01 * data.seconds / size],
            "automargin": True,
            "zeroline": False,
        },
        yaxis=named_axis(range(n), [label(lane, 24) for lane in data.lanes], autorange="reversed"),
    )


def _lines(data: TimelineData) -> list[str]:
    lines = [", ".join(f"{count} {kind}" for kind, count in data.counts.items())]
    lines[0] += f"; workers were busy for {data.busy:.0%} of the time"
    if data.pauses:
        lines.append("times in which nothing ran are cut out at the dotted lines")
    if any(len(bar.numbers) > 1 for bar in data.bars):
        lines.append("trials that lie close together are one bar")
    return lines


def _bars(
    bars: Sequence[Bar], kind: str, color: str, size: float, least: float
) -> list[dict[str, Any]]:
    """The bars of one kind, in units of `size` seconds, and at least `least` seconds long."""
    marked = kind in MARKS
    edge = 0.5 if len(bars) < EDGED else 0
    shared = {
        "name": kind,
        "legendgroup": kind,
        "customdata": [bar.numbers[0] for bar in bars],
        "y": [bar.lane for bar in bars],
    }
    texts = {"hovertext": [_hover(bar) for bar in bars], "hoverinfo": "text"}
    drawn = shared | {
        "type": "bar",
        "orientation": "h",
        "base": [bar.start / size for bar in bars],
        "x": [max(bar.seconds, least) / size for bar in bars],
        "marker": {"color": color, "line": {"color": "white", "width": edge}},
        "showlegend": not marked,
        **texts,
    }
    if not marked:
        return [drawn]
    marks = shared | {
        "type": "scatter",
        "mode": "markers",
        "x": [(bar.start + bar.seconds) / size for bar in bars],
        "marker": {
            "symbol": MARKS[kind],
            "size": 8,
            "color": color,
            "line": {"color": INK, "width": 0.7},
        },
        **texts,
    }
    return [drawn, marks]


def _hover(bar: Bar) -> str:
    n = len(bar.numbers)
    head = f"{plural(n, 'trial')}: " if n > 1 else "trial "
    lines = [
        f"<b>{head}{ranges(bar.numbers, 6)}</b>",
        f"{bar.kind}, {_seconds(bar.seconds)}",
        label(bar.worker, 60),
        wrapped(bar.reason),
    ]
    return "<br>".join(filter(None, lines))


def _seconds(value: float) -> str:
    return f"{value:.3g} s" if value < 100 else duration(value)
