"""The front as a picture, for trackers that show no figure of plotly's."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from optnas.plots import ParetoData

BLUE, GREY = "#0072b2", "#9a9a9a"


def front_picture(data: ParetoData) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Two objectives against each other: the front's members, the other networks, baselines.

    Args:
        data: The data of the Pareto figure.

    Returns:
        Red, green and blue by row and column.
    """
    figure = Figure(figsize=(8, 5), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    kinds = {
        "breaks a bound": ([p for p in data.points if not p.feasible], "x", GREY),
        "dominated": ([p for p in data.points if p.feasible and not p.on_front], "o", GREY),
        "front": ([p for p in data.points if p.on_front], "o", BLUE),
        "baseline": ([p for p in data.points if p.baseline is not None], "D", "none"),
    }
    for name, (points, marker, color) in kinds.items():
        if points:
            x, y = ([p.values[axis] for p in points] for axis in (data.x, data.y))
            edge = "black" if marker == "D" else None
            size = 60 if edge else 30
            axes.scatter(x, y, s=size, marker=marker, c=color, edgecolors=edge, label=name)
    for axis, position in ((axes.xaxis, data.x), (axes.yaxis, data.y)):
        axis.set_label_text(f"{data.names[position]} ({_better(data, position)})", parse_math=False)
        values = [p.values[position] for p in data.points]
        if min(values) > 0 and max(values) > 30 * min(values):
            (axes.set_xscale if position == data.x else axes.set_yscale)("log")
    members = sum(p.on_front for p in data.points)
    axes.set_title(
        f"{members} of {len(data.points)} architectures on the front of "
        f"{len(data.names)} objectives"
    )
    axes.legend()
    axes.grid(alpha=0.3)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def _better(data: ParetoData, position: int) -> str:
    return "more is better" if data.maximized[position] else "less is better"
