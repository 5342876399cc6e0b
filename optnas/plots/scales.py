"""Where values lie in a figure: axes, logarithms, ticks, colours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from plotly.colors import sample_colorscale

from optnas.pareto.dominance import wants_log
from optnas.plots.texts import broken, direction, label, si

SCALE = "Viridis"
LARGEST = 1e300
"""No axis shows larger numbers: plotly takes those beyond 1.8e304 for missing."""

FEWEST, FAR, MARGIN = 8, 3.0, 0.06
"""An axis is focused (`focused_axis`) on at least this many values, those that lie at most this
number of interquartile ranges beyond the worse quartile (Tukey's fence for what is far out); with
this share of their range as a margin."""


def has_place(value: float) -> bool:
    """Whether an axis can show a value: not if it is infinite, NaN, or nearly the largest float."""
    return abs(value) <= LARGEST


def placed(values: Iterable[float]) -> list[float]:
    """The values that an axis can show."""
    return [value for value in values if has_place(value)]


def share(value: float, low: float, high: float) -> float:
    """Where a value lies between two others, from 0 to 1, whatever their size."""
    inside = min(max(value, low), high)
    return (inside / 4 - low / 4) / (high / 4 - low / 4)


def middle(low: float, high: float, *, log: bool) -> float:
    """The value half way between two others, on a log scale if asked for."""
    return math.sqrt(low) * math.sqrt(high) if log else low / 2 + high / 2


def value_axis(name: str, maximized: bool, values: Sequence[float]) -> dict[str, Any]:
    """The axis of an objective, logarithmic where its values span much."""
    axis: dict[str, Any] = {
        "title": {"text": f"{label(name)} ({direction(maximized)})", "font": {"size": 13}},
        "automargin": True,
    }
    return axis | scale_of(values)


def focused_axis(
    name: str, maximized: bool, values: Sequence[float], shown: Iterable[float] = ()
) -> dict[str, Any]:
    """The axis of an objective, whose range leaves out values far worse than the others.

    Otherwise one network that learned nothing squeezes all others into a line. The range is set
    only where that makes the axis at most half as long. A double-click shows all values.

    Args:
        name: The objective's name.
        maximized: Whether more is better.
        values: Its values.
        shown: Those of the values that are never left out.
    """
    axis = value_axis(name, maximized, values)

    def placed_on_axis(numbers: Iterable[float]) -> np.ndarray:
        found = np.array(placed(numbers), dtype=float)
        return np.log10(found) if axis.get("type") == "log" else found

    places = placed_on_axis(values)
    if len(places) < FEWEST:
        return axis
    lower, upper = np.quantile(places, [0.25, 0.75])
    far = FAR * (upper - lower)
    if maximized:
        kept = places[places >= min([lower - far, *placed_on_axis(shown)])]
    else:
        kept = places[places <= max([upper + far, *placed_on_axis(shown)])]
    length = np.ptp(kept)
    if not 0 < length <= np.ptp(places) / 2:
        return axis
    ends = kept.min() - MARGIN * length, kept.max() + MARGIN * length
    return axis | {"range": [float(end) for end in ends]}


def small_axis(
    name: str, maximized: bool, values: Sequence[float], *, brief: bool = False
) -> dict[str, Any]:
    """The axis of an objective in a small panel: small print, few ticks, a title on short lines.

    With `brief` an arrow says which way is better.
    """
    arrow = "↑ better" if maximized else "↓ better"
    better = arrow if brief else direction(maximized)
    return scale_of(values, few=True) | {
        "title": {
            "text": f"{broken(name, width=12 if brief else 14)}<br>({better})",
            "font": {"size": 11},
        },
        "tickfont": {"size": 10},
        "automargin": True,
    }


def scale_of(values: Sequence[float], *, few: bool = False) -> dict[str, Any]:
    """Type and ticks of an axis, `few` where room is short; for values that have a place on it."""
    values = placed(values)
    if not wants_log(values):
        return {"exponentformat": "SI"} | ({"nticks": 5} if few else {})
    ticks = log_ticks(values, few=few)
    return {"type": "log", "tickvals": ticks, "ticktext": [si(tick) for tick in ticks]}


def log_ticks(values: Sequence[float], *, few: bool = False) -> list[float]:
    """1, 2, 5, 10, … over up to three decades, powers of ten over more; fewer if asked for."""
    low, high = math.log10(min(values)), math.log10(max(values))
    span = high - low
    steps: tuple[int, ...] = (1,) if span >= (2 if few else 3) else (1, 3) if few else (1, 2, 5)
    every = max(1, round(span / (3 if few else 6)))
    decades = range(math.floor(low), math.ceil(high) + 1, every)
    ticks = [step * 10.0**decade for decade in decades if decade > -308 for step in steps]
    return [tick for tick in ticks if low - 0.3 <= math.log10(tick) <= high + 0.3]


def axis_title(text: str, size: int = 13) -> dict[str, Any]:
    """The title of an axis."""
    return {"text": text, "font": {"size": size}}


def named_axis(positions: Sequence[float], names: Sequence[str], **more: Any) -> dict[str, Any]:
    """An axis without a grid whose ticks have names.

    Args:
        positions: Where the ticks lie.
        names: Their texts, escaped.
        more: What else plotly has for the axis.
    """
    return {
        "tickvals": list(positions),
        "ticktext": list(names),
        "automargin": True,
        "showgrid": False,
        "zeroline": False,
        **more,
    }


def colors(name: str, values: Sequence[float]) -> dict[str, Any]:
    """Markers coloured by a value, logarithmic where it spans much, with the colour bar.

    A value that has no place on an axis has the colour of the largest or the smallest.
    """
    bar: dict[str, Any] = {
        "title": {"text": label(name, 24), "font": {"size": 13}},
        "exponentformat": "SI",
        "thickness": 14,
    }
    known = placed(values) or [0.0]
    shown = [min(max(value, min(known)), max(known)) for value in values]
    if wants_log(known):
        ticks = log_ticks(known)
        bar |= {"tickvals": [math.log10(t) for t in ticks], "ticktext": [si(t) for t in ticks]}
        shown = [math.log10(v) for v in shown]
    return {"color": shown, "colorscale": SCALE, "showscale": True, "colorbar": bar}


def position(values: Sequence[float]) -> Callable[[float], float]:
    """A function from a value to its place from the smallest (0) to the largest (1), as drawn.

    A value that has no place on an axis has that of the largest or the smallest.
    """
    known = placed(values) or [0.0]
    low, high = min(known), max(known)
    scale: Callable[[float], float] = math.log if wants_log(known) else float
    if high <= low:
        return lambda value: 0.5
    return lambda value: share(scale(min(max(value, low), high)), scale(low), scale(high))


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
