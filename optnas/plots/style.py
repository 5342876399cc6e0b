"""The common style of the figures: colours, layout, and how much of a large study is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import plotly.graph_objects as go

from optnas.errors import InputError
from optnas.plots.scales import has_place
from optnas.plots.texts import wrapped
from optnas.utils.text import ranges

# The palette of Okabe and Ito (2008), which people with any colour vision can tell apart.
BLUE, VERMILLION, GREEN, ORANGE = "#0072b2", "#d55e00", "#009e73", "#e69f00"
SKY, PURPLE = "#56b4e9", "#cc79a7"
GREY, INK, FAINT = "#9a9a9a", "#333333", "#666666"
DETAILED = 1000
"""A trace with more points has only their numbers as hover texts."""
DRAWN = 2000
"""The largest number of points of a trace: more hide each other, and make the page slow."""

NO_PLACE = "infinite, or too large for an axis"
"""What `has_place` is false for, in words."""

T = TypeVar("T")


def spread(items: Sequence[T], most: int = DRAWN) -> list[T]:
    """At most this number of the items, evenly spread; the first and the last are among them."""
    if len(items) <= most:
        return list(items)
    step = (len(items) - 1) / (most - 1)
    return [items[round(i * step)] for i in range(most)]


def figure(
    traces: Sequence[dict[str, Any]],
    title: str,
    *,
    lines: Sequence[str] = (),
    notes: Sequence[str] = (),
    above: int = 0,
    **layout: Any,
) -> go.Figure:
    """A figure in the common style.

    Args:
        traces: Of plotly, as dictionaries: its own classes check each value at every assignment.
        title: The finding, in a few words.
        lines: Sentences under the title; plain text, wrapped and escaped here.
        notes: Small print above the legend, likewise.
        above: Pixels to leave free between the lines and the panels.
        layout: The rest of the layout.

    Raises:
        InputError: Nothing is left to draw: no value has a place on an axis.
    """
    left_out = sorted({number for trace in traces for number in _left_out(trace)})
    traces = [_with_gaps(trace) for trace in traces]
    if not any(map(_shows_something, traces)):
        raise InputError(f"nothing is left to draw: every value is {NO_PLACE}")
    if left_out:
        who = f"trial{'s' * (len(left_out) > 1)} {ranges(left_out, 6)}"
        notes = [*notes, f"left out for a value that is {NO_PLACE}: {who}"]
    below = [line for text in lines for line in wrapped(text).split("<br>")]
    small = "<br>".join(wrapped(note) for note in notes if note)
    title_lines = wrapped(title, 56, 3).split("<br>")
    head = [f"<b>{line}</b>" for line in title_lines]
    head += [f'<span style="font-size:12px;color:{FAINT}">{line}</span>' for line in below]
    base: dict[str, Any] = {
        "template": "plotly_white",
        "font": {"size": 13, "color": INK},
        "title": {
            "text": "<br>".join(head),
            "font": {"size": 15},
            "x": 0,
            "xref": "container",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"l": 12, "t": 12},
        },
        "showlegend": True,
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
            "title": {"text": small, "side": "top", "font": {"size": 11, "color": FAINT}},
        },
        "hoverlabel": {"align": "left", "bgcolor": "white", "font": {"size": 12}},
        "margin": {"l": 60, "r": 20, "t": 28 + 20 * len(head) + above, "b": 60},
    }
    return go.Figure({"data": list(traces), "layout": base | layout})


def _with_gaps(trace: dict[str, Any]) -> dict[str, Any]:
    """A trace with None for each coordinate that has no place on an axis, and no bar for its error.

    plotly draws a gap there.
    """
    found = dict(trace)
    for name in "xy":
        if name in trace:
            found[name] = [v if _is_drawn(v) else None for v in trace[name]]
    for name in ("error_x", "error_y"):
        for ends in ("array", "arrayminus"):
            if ends in trace.get(name, {}):
                bars = [v if has_place(v) else 0.0 for v in trace[name][ends]]
                found[name] = found[name] | {ends: bars}
    return found


def _left_out(trace: dict[str, Any]) -> list[int]:
    """The trials of the points that `_with_gaps` takes from a trace; not each point has one."""
    points = zip(trace.get("x", ()), trace.get("y", ()), trace.get("customdata", ()), strict=False)
    return [n for x, y, n in points if n is not None and not (_is_drawn(x) and _is_drawn(y))]


def _is_drawn(value: object) -> bool:
    """Whether a coordinate has a place; a gap (None) and a name have one, too."""
    return not isinstance(value, (int, float)) or has_place(value)


def _shows_something(trace: dict[str, Any]) -> bool:
    """Whether a trace has a point of its own: what can't be pointed at only guides the eye."""
    guide = trace.get("hoverinfo") == "skip" and "customdata" not in trace
    points = zip(trace.get("x", ()), trace.get("y", ()), strict=False)
    return not guide and any(x is not None and y is not None for x, y in points)


def stacked(sizes: Sequence[float], gap: float) -> list[list[float]]:
    """The domains of axes side by side, or one above the other from the bottom on.

    Args:
        sizes: How large they are, in any unit.
        gap: Between two of them, as a share of all.
    """
    unit = (1 - gap * (len(sizes) - 1)) / sum(sizes)
    starts = [sum(sizes[:i]) * unit + i * gap for i in range(len(sizes))]
    return [[a, min(a + size * unit, 1.0)] for a, size in zip(starts, sizes, strict=True)]
