"""How many multiply-accumulates the networks have that fit a target, one line a space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from optnas.errors import InputError
from optnas.plots.comparison import STYLES
from optnas.plots.scales import axis_title, scale_of
from optnas.plots.style import figure
from optnas.plots.texts import label, si

if TYPE_CHECKING:  # it imports torch, which takes a second
    from optnas.search.fits import Fits, SpaceFit


def fits_figure(data: Fits) -> go.Figure:
    """The cumulative distribution of macs among the networks that fit, one line a space.

    A line further to the right means more computation in the same memory, which is what TinyNAS
    looks for (see `fits`).

    Args:
        data: The result of `fits`.

    Raises:
        InputError: Nothing fits in any space.
    """
    drawn = [space for space in data.spaces if space.macs]
    if not drawn:
        raise InputError(f"nothing is left to draw: no random network fits {data.target}")
    best = max(drawn, key=lambda space: space.mean_macs)
    values = [value for space in drawn for value in space.macs]
    lines = [f"of {drawn[0].drawn} random networks of each space"] if len(data.spaces) > 1 else []
    if len(data.spaces) > 1:
        lines.append(f"the largest mean of macs among what fits: {best.label} (TinyNAS' choice)")
    none = ", ".join(space.label for space in data.spaces if not space.macs)
    return figure(
        [_line(space, STYLES[i % len(STYLES)][0]) for i, space in enumerate(drawn)],
        f"What fits {data.target}",
        lines=lines,
        notes=[f"nothing fits of: {none}" if none else ""],
        xaxis={"title": axis_title("macs of one inference"), "automargin": True} | scale_of(values),
        yaxis={
            "title": axis_title("share of the networks, cumulative"),
            "automargin": True,
            "range": [0, 1.02],
            "tickformat": ".0%",
        },
    )


def _line(space: SpaceFit, color: str) -> dict[str, Any]:
    """Steps from 0: each network adds its share."""
    count = len(space.macs)
    name = f"{label(space.label)}: {space.share:.0%} fit, mean {si(space.mean_macs, 3)}"
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [space.macs[0], *space.macs],
        "y": [i / count for i in range(count + 1)],
        "line": {"color": color, "width": 1.8, "shape": "hv"},
        "hovertemplate": f"{name}<br>%{{y:.0%}} of what fits have at most %{{x:,.0f}} macs"
        "<extra></extra>",
    }
