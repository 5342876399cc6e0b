"""The course of the search: the hypervolume, and the best value of each objective so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go
from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.errors import InputError
from optnas.pareto.dominance import losses
from optnas.pareto.hypervolume import is_exact, volume_text
from optnas.pareto.snapshot import Snapshot
from optnas.pareto.study_hypervolume import hypervolume_history
from optnas.plots.scales import axis_title, small_axis
from optnas.plots.style import BLUE, GREEN, VERMILLION, figure, stacked
from optnas.plots.texts import hover, label, short
from optnas.study.attributes import BASELINE
from optnas.study.describe import architecture_name
from optnas.study.trial_order import in_order_of_completion
from optnas.utils.text import number, plural

LABELLED = 3
"""With more baselines, panels leave out their names."""


class Step(NamedTuple):
    """A new best value: after how many trials, which trial, its value and architecture."""

    trials: int
    number: int
    value: float
    architecture: str


class Reference(NamedTuple):
    """A baseline: its name, its trial, its values."""

    name: str
    number: int
    values: tuple[float, ...]


class HistoryData(NamedTuple):
    """The data of the history, by the number of feasible COMPLETE trials so far.

    Attributes:
        study_name: Of the study.
        names: Of the objectives.
        maximized: Whether each is maximised.
        trials: The number of feasible COMPLETE trials.
        hypervolume: (trials, hypervolume); empty for one objective, or without finite values.
        exact: Whether it is exact; with many objectives it is approximated.
        settled: Whether there are enough trials for a hypervolume to say something by itself.
        meaning: What it is measured in, or why there is none.
        best: For each objective the trials that sampled a new best value.
        baselines: The hand-made networks, for comparison.
    """

    study_name: str
    names: list[str]
    maximized: list[bool]
    trials: int
    hypervolume: list[tuple[int, float]]
    exact: bool
    settled: bool
    meaning: str
    best: list[list[Step]]
    baselines: list[Reference]


def history_data(study: Study | Snapshot) -> HistoryData:
    """The hypervolume and the best values after each of the feasible COMPLETE trials.

    Raises:
        InputError: There is none.
    """
    seen = Snapshot.of(study)
    trials = in_order_of_completion(seen.feasible)
    exact = is_exact(len(seen.names))
    if not trials:
        raise InputError(
            f"study {seen.study.study_name!r} has no feasible COMPLETE trial yet: there is no "
            "history"
        )
    return HistoryData(
        study_name=seen.study.study_name,
        names=seen.names,
        maximized=seen.maximized,
        trials=len(trials),
        hypervolume=hypervolume_history(
            seen.study,
            200 if exact else 20,  # an approximated one takes longer
            seen.feasible,
        ),
        exact=exact,
        settled=bool(seen.hypervolume_text()) and seen.hypervolume is not None,
        meaning=seen.hypervolume_meaning,
        best=_best(seen, trials),
        baselines=[
            Reference(str(t.user_attrs[BASELINE]), t.number, tuple(t.values))
            for t in trials
            if BASELINE in t.user_attrs
        ],
    )


def _best(study: Snapshot, trials: Sequence[FrozenTrial]) -> list[list[Step]]:
    """The trials that found a new best value of each objective; baselines don't count."""
    points = losses([t.values for t in trials], study.directions)
    best: list[list[Step]] = []
    for i, column in enumerate(points.T.tolist()):
        steps: list[Step] = []
        lowest = float("inf")
        for count, (trial, value) in enumerate(zip(trials, column, strict=True), 1):
            if value < lowest and BASELINE not in trial.user_attrs:
                lowest = value
                steps.append(Step(count, trial.number, trial.values[i], architecture_name(trial)))
        best.append(steps)
    return best


def history_figure(data: HistoryData) -> go.Figure:
    """The hypervolume above, then a panel for the best value so far of each objective."""
    rows = ["hypervolume"] * bool(data.hypervolume) + data.names
    heights = [200 if row == 0 else 120 for row in range(len(rows))]
    spans = stacked(heights[::-1], 0.03)[::-1]
    layout: dict[str, Any] = {
        "xaxis": {
            "title": axis_title("feasible COMPLETE trials"),
            "anchor": f"y{len(rows)}",
            "range": [0, data.trials * 1.02],
            "automargin": True,
        }
    }
    traces = []
    if data.hypervolume:
        traces.append(_volume(data))
        layout["yaxis"] = small_axis("hypervolume", True, []) | {"domain": spans[0]}
    for i, name in enumerate(data.names):
        row = i + 1 + bool(data.hypervolume)
        of_panel = [_steps(data, i, row), *_references(data, i, row)]
        values = [value for trace in of_panel for value in trace["y"]]
        traces += of_panel
        layout[f"yaxis{row}"] = small_axis(name, data.maximized[i], values) | {
            "domain": spans[row - 1]
        }
    seen = set()
    for trace in traces:
        trace["showlegend"] = trace["legendgroup"] not in seen
        seen.add(trace["legendgroup"])
    return figure(
        traces,
        _title(data),
        lines=_lines(data),
        height=170 + sum(heights),
        **layout,
    )


def _title(data: HistoryData) -> str:
    name, trials = short(data.study_name, 50), plural(data.trials, "trial")
    if not data.settled:
        return f"{name}: best values after {trials}"
    about = "" if data.exact else "about "
    return f"{name}: hypervolume {about}{volume_text(data.hypervolume[-1][1], 3)} after {trials}"


def _lines(data: HistoryData) -> list[str]:
    return [f"hypervolume: {data.meaning}"] if len(data.names) > 1 else []


def _volume(data: HistoryData) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [count for count, _ in data.hypervolume],
        "y": [value for _, value in data.hypervolume],
        "yaxis": "y",
        "name": "hypervolume",
        "legendgroup": "hypervolume",
        "line": {"color": GREEN, "width": 2, "shape": "hv"},
        "hovertemplate": "%{x} trials: %{y:.4f}<extra></extra>",
    }


def _steps(data: HistoryData, i: int, row: int) -> dict[str, Any]:
    """A staircase with a mark where each new best was found, up to the last trial."""
    steps = data.best[i]
    end = steps[-1:] if steps and steps[-1].trials < data.trials else []
    shown = [*steps, *end]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [step.trials for step in steps] + [data.trials for _ in end],
        "y": [step.value for step in shown],
        "xaxis": "x",
        "yaxis": f"y{row}",
        "name": "best so far",
        "legendgroup": "best",
        "line": {"color": BLUE, "width": 2, "shape": "hv"},
        "marker": {"size": [6 for _ in steps] + [0 for _ in end]},
        # The end of a line is no place of a trial: the report would mark it there, too.
        "customdata": [step.number for step in steps] + [None for _ in end],
        "hovertext": [
            hover(f"trial {s.number}", s.architecture, [(data.names[i], s.value)]) for s in shown
        ],
        "hoverinfo": "text",
    }


def _references(data: HistoryData, i: int, row: int) -> list[dict[str, Any]]:
    """A dashed line for each baseline."""
    named = len(data.baselines) <= LABELLED
    return [
        {
            "type": "scatter",
            "mode": "lines+text" if named else "lines",
            "x": [0, data.trials],
            "y": [reference.values[i]] * 2,
            "yaxis": f"y{row}",
            "name": "baselines",
            "legendgroup": "baselines",
            "line": {"color": VERMILLION, "width": 1.5, "dash": "dash"},
            "text": ["", label(reference.name, 24)],
            "textposition": "top left",
            "cliponaxis": False,
            "textfont": {"size": 10, "color": VERMILLION},
            "customdata": [reference.number] * 2,
            "hovertext": f"baseline {label(reference.name)}: {number(reference.values[i])}",
            "hoverinfo": "text",
        }
        for reference in data.baselines
    ]
