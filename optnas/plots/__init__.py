"""Figures of a study: first the data, a NamedTuple that can be compared, then the plotly figure.

`PLOTS` lists those that any study can be asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import plotly.graph_objects as go
from optuna.study import Study

from optnas.plots.history import HistoryData, history_data, history_figure
from optnas.plots.importance import ImportanceData, importance_data, importance_figure
from optnas.plots.matrix import MatrixData, matrix_data, matrix_figure
from optnas.plots.pareto import ParetoData, pareto_data, pareto_figure
from optnas.plots.points import Point

__all__ = [
    "PLOTS",
    "HistoryData",
    "ImportanceData",
    "MatrixData",
    "ParetoData",
    "Plot",
    "Point",
    "history_data",
    "history_figure",
    "importance_data",
    "importance_figure",
    "matrix_data",
    "matrix_figure",
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
    Plot(
        "matrix",
        "Objectives, pair by pair",
        "Each panel has one objective below and one at the left. Points in colour are members of "
        "the front of all objectives: in one panel they may lie behind others, which lose "
        "elsewhere.",
        lambda study: matrix_figure(matrix_data(study)),
    ),
    Plot(
        "history",
        "History",
        "How the search went on. A rising hypervolume means that the front still improves. Each "
        "panel below has the best value of one objective that was sampled so far; marks show where "
        "it was found, dashed lines are baselines.",
        lambda study: history_figure(history_data(study)),
    ),
    Plot(
        "importance",
        "Which decisions matter",
        "How much each decision, of the architecture and of its training (recipe.…), sets the best "
        "trials of an objective apart from all trials. It says how much, not which choice is "
        "better.",
        lambda study: importance_figure(importance_data(study)),
    ),
)
