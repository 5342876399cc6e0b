"""The figures of the page, as plotly's JSON."""

from __future__ import annotations

from typing import Any, NamedTuple

import plotly.graph_objects as go

from optnas.errors import InputError
from optnas.pareto.dominance import wants_log
from optnas.pareto.snapshot import Snapshot
from optnas.plots import PLOTS, Plot, pareto_data, pareto_figure
from optnas.plots.page import least_width
from optnas.plots.scales import colors, focused_axis
from optnas.plots.texts import label
from optnas.report.networks import Networks

FRONT = "pareto"
"""The key of the figure next to the table."""


class Figure(NamedTuple):
    """A figure, or the reason why this study has none.

    Attributes:
        key: A short name.
        title: A heading.
        caption: How to read it.
        height: In pixels.
        width: The least width, in pixels; 0 for any.
        json: Plotly's JSON; empty where the figure can't be drawn.
        why: The reason.
    """

    key: str
    title: str
    caption: str
    height: int
    width: int
    json: str
    why: str


class Scale(NamedTuple):
    """How an objective is drawn: as an axis of plotly, and as a colour bar.

    `name` is escaped for plotly; `log` says whether colours stand for logarithms.
    """

    name: str
    axis: dict[str, Any]
    bar: dict[str, Any]
    log: bool


def figures(study: Snapshot) -> list[Figure]:
    """All figures, that of the front first."""
    found = []
    for plot in PLOTS:
        try:
            drawn = _front(study) if plot.key == FRONT else plot.draw(study)
        except InputError as error:
            found.append(_figure(plot, why=str(error)))
        else:
            found.append(_figure(plot, drawn))
    return found


def scales(networks: Networks) -> list[Scale]:
    """How each objective is drawn in the front's figure, whose axes can be chosen."""
    found = []
    for i, column in enumerate(networks.columns):
        values = [(row, value) for row in networks.rows if (value := row.values[i]) is not None]
        members = [v for row, v in values if row.place == "front" and row.baseline is None]
        if column.objective:
            shown = [value for row, value in values if row.baseline is not None]
            axis = focused_axis(column.name, column.better == "more", [v for _, v in values], shown)
            bar = colors(column.name, members)["colorbar"]
            found.append(Scale(label(column.name, 24), axis, bar, wants_log(members)))
    return found


def _front(study: Snapshot) -> go.Figure:
    # On the page readers choose objectives for the axes and the colour, so none is left for sizes;
    # the table has the results of fresh seeds.
    return pareto_figure(pareto_data(study)._replace(size=None, again=[]))


def _figure(plot: Plot, drawn: go.Figure | None = None, why: str = "") -> Figure:
    if drawn is None:
        return Figure(plot.key, plot.title, plot.caption, 0, 0, "", why)
    return drawn_figure(plot.key, plot.title, plot.caption, drawn)


def drawn_figure(key: str, title: str, caption: str, drawn: go.Figure) -> Figure:
    """A figure for the page, which has headings of its own; the lines below the title stay."""
    height, width = drawn.layout.height or 480, least_width(drawn)
    text = drawn.layout.title.text.split("<br>")
    lines = [line for line in text if not line.startswith("<b>")]
    drawn.layout.title.text = "<br>".join(lines)
    drawn.layout.margin.t -= 20 * (len(text) - len(lines))
    return Figure(key, title, caption, height, width, str(drawn.to_json()), "")
