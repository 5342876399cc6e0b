"""Figures of a study: first the data, a NamedTuple that can be compared, then the plotly figure.

`PLOTS` lists those that any study can be asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import plotly.graph_objects as go
from optuna.study import Study

from optnas.plots.pareto import ParetoData, ParetoPoint, pareto_data, pareto_figure

__all__ = [
    "PLOTS",
    "ParetoData",
    "ParetoPoint",
    "Plot",
    "pareto_data",
    "pareto_figure",
]


class Plot(NamedTuple):
    """A figure that a study can be asked for.

    Attributes:
        key: A short name, for files and anchors.
        title: A heading.
        caption: How to read it, in a sentence or two; plain text.
        draw: Makes the figure; raises InputError with the reason if the study can't be drawn so.
    """

    key: str
    title: str
    caption: str
    draw: Callable[[Study], go.Figure]


PLOTS: tuple[Plot, ...] = (
    Plot(
        "pareto",
        "Pareto front",
        "Each point is an architecture. Members of the front, which no other architecture beats in "
        "everything, are coloured; dominated ones are grey. The line joins what is best in the two "
        "objectives on the axes alone.",
        lambda study: pareto_figure(pareto_data(study)),
    ),
)
