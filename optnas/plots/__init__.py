"""Figures of a study: first the data, a NamedTuple that can be compared, then the plotly figure.

Both take a study, or a `Snapshot` of it, which several figures can share. `PLOTS` lists the figures
that can be drawn of any study.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import plotly.graph_objects as go
from optuna.study import Study

from optnas.pareto.snapshot import Snapshot
from optnas.plots.comparison import comparison_figure
from optnas.plots.curves import CurvesData, curves_data, curves_figure
from optnas.plots.fits import fits_figure
from optnas.plots.history import HistoryData, history_data, history_figure
from optnas.plots.importance import ImportanceData, importance_data, importance_figure
from optnas.plots.matrix import MatrixData, matrix_data, matrix_figure
from optnas.plots.parallel import ParallelData, parallel_data
from optnas.plots.parallel_drawing import parallel_figure
from optnas.plots.pareto import ParetoData, pareto_data
from optnas.plots.pareto_drawing import pareto_figure
from optnas.plots.timeline import TimelineData, timeline_data, timeline_figure

__all__ = [
    "PLOTS",
    "CurvesData",
    "HistoryData",
    "ImportanceData",
    "MatrixData",
    "ParallelData",
    "ParetoData",
    "Plot",
    "TimelineData",
    "comparison_figure",
    "curves_data",
    "curves_figure",
    "fits_figure",
    "history_data",
    "history_figure",
    "importance_data",
    "importance_figure",
    "matrix_data",
    "matrix_figure",
    "parallel_data",
    "parallel_figure",
    "pareto_data",
    "pareto_figure",
    "timeline_data",
    "timeline_figure",
]


def __dir__() -> list[str]:
    return __all__


class Plot(NamedTuple):
    """A figure that can be drawn of any study.

    Attributes:
        key: A short name, for files and anchors.
        title: A heading.
        caption: How to read it, in a sentence or two; plain text.
        draw: Makes the figure; raises InputError with the reason if the study has no such figure.
    """

    key: str
    title: str
    caption: str
    draw: Callable[[Study | Snapshot], go.Figure]


PLOTS: tuple[Plot, ...] = (
    Plot(
        "pareto",
        "Pareto front",
        "Each point is an architecture; one that was trained several times has a point for each of "
        "its trials on the front. Members of the front, which no other network dominates, are "
        "coloured; dominated ones are grey. The line joins those that are best in the two "
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
        "parallel",
        "From decisions to objectives",
        "Each line is a trial: it crosses the axis of each decision at what was chosen, "
        "and ends at its values, the better ones above. Lines in colour are members of the front. "
        "Where a network has no such decision, its line passes below.",
        lambda study: parallel_figure(parallel_data(study)),
    ),
    Plot(
        "history",
        "History",
        "The course of the search. A rising hypervolume means that the front still improves. Each "
        "panel below has the best value of one objective that was sampled so far; marks show where "
        "it was found, dashed lines are baselines.",
        lambda study: history_figure(history_data(study)),
    ),
    Plot(
        "importance",
        "Which decisions matter",
        "How much each decision, of the architecture and of its training (recipe.…), sets the best "
        "trials of an objective apart from all trials. It shows how much, not which choice is "
        "better.",
        lambda study: importance_figure(importance_data(study)),
    ),
    Plot(
        "curves",
        "Learning curves",
        "The score that each network had after each step of its training. Lines in colour are "
        "members of the front; one that still falls at its end would have gained from longer "
        "training.",
        lambda study: curves_figure(curves_data(study)),
    ),
    Plot(
        "timeline",
        "Timeline",
        "When each trial ran, and which others ran at the same time. Gaps are times in which a "
        "worker had no trial or didn't run.",
        lambda study: timeline_figure(timeline_data(study)),
    ),
)
