"""What the figures share: colours, axes, texts, and how much of a large study is drawn."""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from optnas.pareto.dominance import wants_log
from optnas.utils.text import number

# The palette of Okabe and Ito (2008), which people with any colour vision can tell apart.
BLUE, VERMILLION, GREEN, ORANGE = "#0072b2", "#d55e00", "#009e73", "#e69f00"
SKY, PURPLE = "#56b4e9", "#cc79a7"
GREY, INK, FAINT = "#9a9a9a", "#333333", "#666666"
SCALE = "Viridis"

WIDTH = 74
"""Characters of a line of small text: it fits into a figure of 500 pixels."""
DETAILED = 1000
"""Up to so many points of a trace say everything on hovering, more of them their number."""
DRAWN = 2000
"""Most points of a trace: more lie on top of each other, and make the page slow."""

T = TypeVar("T")


def short(text: object, most: int = 40) -> str:
    """A name on one line, shortened."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def label(text: object, most: int = 40) -> str:
    """A name on one line, shortened, and escaped for what plotly takes for HTML.

    Quotes stay: plotly doesn't know their entities.
    """
    return html.escape(short(text, most), quote=False)


def wrapped(text: object, width: int = WIDTH, most: int = 8) -> str:
    """A text on several lines, shortened and escaped likewise."""
    lines = textwrap.wrap(" ".join(str(text).split()), width)
    if len(lines) > most:
        lines = [*lines[: most - 1], f"{lines[most - 1]} …"]
    return "<br>".join(html.escape(line, quote=False) for line in lines)


def hover(head: str, architecture: str, values: Iterable[tuple[str, float]]) -> str:
    """What is seen of one network: `head` in bold, its architecture, its values by name."""
    lines = [f"{label(name)}: {number(value)}" for name, value in values]
    return "<br>".join([f"<b>{label(head, WIDTH)}</b>", wrapped(architecture), *lines])


def spread(items: Sequence[T], most: int = DRAWN) -> list[T]:
    """At most so many of the items, evenly spread; the first and the last are among them."""
    if len(items) <= most:
        return list(items)
    step = (len(items) - 1) / (most - 1)
    return [items[round(i * step)] for i in range(most)]


def direction(maximized: bool) -> str:
    """Which way is better."""
    return "more is better" if maximized else "less is better"


def value_axis(name: str, maximized: bool, values: Sequence[float]) -> dict[str, Any]:
    """The axis of an objective, logarithmic where its values span much."""
    axis: dict[str, Any] = {
        "title": {"text": f"{label(name)} ({direction(maximized)})", "font": {"size": 13}},
        "automargin": True,
    }
    return axis | scale_of(values)


def small_axis(
    name: str, maximized: bool, values: Sequence[float], *, brief: bool = False
) -> dict[str, Any]:
    """The axis of an objective in a small panel: small print, few ticks, a title on short lines.

    With `brief` an arrow says which way is better.
    """
    arrow = "↑ better" if maximized else "↓ better"
    # A line break for each dozen characters, where the name has a joint.
    title = label(name, 20).replace("_", "_<br>", len(name) // 12)
    return scale_of(values, few=True) | {
        "title": {
            "text": f"{title}<br>({arrow if brief else direction(maximized)})",
            "font": {"size": 11},
        },
        "tickfont": {"size": 10},
        "automargin": True,
    }


def scale_of(values: Sequence[float], *, few: bool = False) -> dict[str, Any]:
    """Type and ticks of an axis; few of them where there is little room."""
    if not wants_log(values):
        return {"exponentformat": "SI"} | ({"nticks": 5} if few else {})
    ticks = log_ticks(values, few=few)
    return {"type": "log", "tickvals": ticks, "ticktext": [si(tick) for tick in ticks]}


def log_ticks(values: Sequence[float], *, few: bool = False) -> list[float]:
    """1, 2, 5, 10, … over up to three decades, powers of ten over more; fewer where they do."""
    low, high = math.log10(min(values)), math.log10(max(values))
    span = high - low
    steps: tuple[int, ...] = (1,) if span >= (2 if few else 3) else (1, 3) if few else (1, 2, 5)
    every = max(1, round(span / (3 if few else 6)))
    decades = range(math.floor(low), math.ceil(high) + 1, every)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    return [tick for tick in ticks if low - 0.3 <= math.log10(tick) <= high + 0.3]


def si(value: float, digits: int = 6) -> str:
    """A number, as short as it gets: 20k, 5.61M."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.{digits}g}{suffix}"
    return f"{value:.{digits}g}"


def colors(name: str, values: Sequence[float]) -> dict[str, Any]:
    """Markers coloured by a value, logarithmic where it spans much, with the colour bar."""
    bar: dict[str, Any] = {
        "title": {"text": label(name, 24), "font": {"size": 13}},
        "exponentformat": "SI",
        "thickness": 14,
    }
    shown = list(values)
    if wants_log(values):
        ticks = log_ticks(values)
        bar |= {"tickvals": [math.log10(t) for t in ticks], "ticktext": [si(t) for t in ticks]}
        shown = [math.log10(v) for v in values]
    return {"color": shown, "colorscale": SCALE, "showscale": True, "colorbar": bar}


def position(values: Sequence[float]) -> Callable[[float], float]:
    """Where a value lies between the smallest (0) and the largest (1), as it would be drawn."""
    finite = [v for v in values if math.isfinite(v)] or [0.0]
    low, high = min(finite), max(finite)
    scale: Callable[[float], float] = math.log if wants_log(finite) else float
    span = scale(high) - scale(low)
    return lambda v: (scale(min(max(v, low), high)) - scale(low)) / span if span > 0 else 0.5


def shade(share: float) -> str:
    """The colour at a share of the colour scale."""
    (color,) = sample_colorscale(SCALE, [min(max(share, 0.0), 1.0)])
    return str(color)


def color_bar(name: str, values: Sequence[float]) -> dict[str, Any]:
    """A trace without points that has the colour bar of lines."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [None, None],
        "y": [None, None],
        "showlegend": False,
        "marker": colors(name, [min(values), max(values)]),
    }


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
        title: What is seen, in a few words.
        lines: Sentences under the title; plain text, wrapped and escaped here.
        notes: Small print above the legend, likewise.
        above: Pixels to leave free between the lines and the panels.
        layout: The rest of the layout.
    """
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


def stacked(sizes: Sequence[float], gap: float) -> list[list[float]]:
    """The domains of axes side by side, or one above the other from the bottom on.

    Args:
        sizes: How large they are, in any unit.
        gap: Between two of them, as a share of all.
    """
    unit = (1 - gap * (len(sizes) - 1)) / sum(sizes)
    starts = [sum(sizes[:i]) * unit + i * gap for i in range(len(sizes))]
    return [[a, min(a + size * unit, 1.0)] for a, size in zip(starts, sizes, strict=True)]
