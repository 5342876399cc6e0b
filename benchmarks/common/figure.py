"""The figure of a comparison of samplers."""

import math

import numpy as np
import plotly.graph_objects as go

from common.comparison import COLORS, OURS

BOTTOM_RIGHT = {"x": 0.99, "y": 0.02, "xanchor": "right", "yanchor": "bottom"}
TOP_LEFT = {"x": 0.01, "y": 0.98, "xanchor": "left", "yanchor": "top"}


def figure(curves, title, y_title, y_range=None, legend=BOTTOM_RIGHT):
    """One line a sampler, with a band of the middle half of the seeds."""
    fig = go.Figure()
    for name, runs in curves.items():
        budgets = sorted(set.intersection(*(set(run) for run in runs)))
        values = np.array([[run[n] for n in budgets] for run in runs])
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
        color = COLORS[name]
        rgb = ",".join(str(int(color[i : i + 2], 16)) for i in (1, 3, 5))
        fig.add_trace(
            go.Scatter(
                x=[*budgets, *reversed(budgets)],
                y=[*high, *reversed(low)],
                fill="toself",
                fillcolor=f"rgba({rgb},{0.2 if name in OURS else 0.07})",
                line={"width": 0},
                showlegend=False,
                hoverinfo="skip",
            )
        )
        fig.add_trace(
            go.Scatter(
                x=budgets,
                y=middle.tolist(),
                name=name,
                mode="lines",
                line={
                    "color": color,
                    "width": 3 if name in OURS else 1.8,
                    "dash": "solid" if name in OURS else "dot",
                },
            )
        )
    fig.update_layout(
        title=title,
        template="plotly_white",
        xaxis={
            "title": "evaluations",
            "type": "log",
            "range": [math.log10(10), math.log10(500)],
            "tickvals": [10, 20, 50, 100, 200, 500],
        },
        yaxis={"title": y_title, "range": y_range},
        legend=legend,
        margin={"l": 70, "r": 20, "t": 60, "b": 60},
        width=900,
        height=560,
    )
    return fig
