"""How the networks learned."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go
from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.errors import InputError
from optnas.pareto.snapshot import Snapshot
from optnas.plots.scales import axis_title, color_bar, has_place, position, shade, value_axis
from optnas.plots.style import GREY, VERMILLION, figure, spread
from optnas.plots.texts import drawn_note, hover, label, short
from optnas.study.attributes import BASELINE, CURVE
from optnas.study.describe import architecture_name
from optnas.utils.text import plural, there_are

LINES, FAINT_LINES = 60, 200
"""The largest number of coloured lines, and of grey ones: more hide each other."""
STEPS = 300
"""The largest number of points of a line."""


class Curve(NamedTuple):
    """A trial's scores by step; a score that isn't a finite number is None.

    `by` is the value that colours it: that of an objective which isn't learned, if there is one.
    """

    number: int
    architecture: str
    on_front: bool
    baseline: str | None
    steps: tuple[float, ...]
    scores: tuple[float | None, ...]
    by: float | None


class CurvesData(NamedTuple):
    """The data of the learning curves: one score, by the steps at which it was reported.

    Attributes:
        study_name: Of the study.
        score: The name of the score.
        better: Whether more of it is better; None if that isn't known.
        by: The name of the objective that colours the curves; empty without one.
        curves: One for each trial.
    """

    study_name: str
    score: str
    better: bool | None
    by: str
    curves: list[Curve]


def curves_data(study: Study | Snapshot, score: str | None = None) -> CurvesData:
    """The learning curves of a study's trials, also of pruned and failed ones.

    Args:
        study: A study whose evaluator reported scores, or a snapshot of it.
        score: The name of the score; by default the first objective that was reported, else the
            first score.

    Raises:
        InputError: No trial has a curve, or none of this score, or none with a finite number.
    """
    seen = Snapshot.of(study)
    trials = [t for t in seen.trials if _rows(t)]
    reported = dict.fromkeys(key for t in trials for row in _rows(t) for key in row)
    reported.pop("step", None)
    if not reported:
        raise InputError(
            f"study {seen.study.study_name!r} has no learning curves: nothing was reported while "
            "its networks were trained"
        )
    names = seen.names
    if score is None:
        score = next((name for name in names if name in reported), next(iter(reported)))
    if score not in reported:
        raise InputError(f"no score {score!r} was reported; {there_are(score, reported)}")
    directions = dict(zip(names, seen.maximized, strict=True))
    # An objective that isn't learned, such as a network's size, tells more than the score again.
    by = next((i for i, name in enumerate(names) if name not in reported), None)
    members = {t.number for t in seen.front}
    curves = [_curve(trial, score, by, members) for trial in trials]
    curves = [c for c in curves if any(s is not None for s in c.scores)]
    if not curves:
        raise InputError(
            f"nothing is left to draw: no {score!r} that was reported while the networks of study "
            f"{seen.study.study_name!r} were trained is a finite number"
        )
    return CurvesData(
        study_name=seen.study.study_name,
        score=score,
        better=directions.get(score),
        by="" if by is None else names[by],
        curves=curves,
    )


def _rows(trial: FrozenTrial) -> list[Mapping[str, Any]]:
    """The scores by epoch, where they have the form that optnas writes."""
    found = trial.user_attrs.get(CURVE)
    rows = found if isinstance(found, list) else []
    return [row for row in rows if isinstance(row, dict) and _is_number(row.get("step"))]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and has_place(value)


def _curve(trial: FrozenTrial, score: str, by: int | None, members: set[int]) -> Curve:
    rows = spread([row for row in _rows(trial) if score in row], STEPS)
    name = trial.user_attrs.get(BASELINE)
    return Curve(
        number=trial.number,
        architecture=architecture_name(trial),
        on_front=trial.number in members,
        baseline=None if name is None else str(name),
        steps=tuple(row["step"] for row in rows),
        scores=tuple(row[score] if _is_number(row[score]) else None for row in rows),
        by=trial.values[by] if by is not None and trial.values else None,
    )


def curves_figure(data: CurvesData) -> go.Figure:
    """The front's members in colour, others in grey, baselines dashed."""
    members = [c for c in data.curves if c.on_front and c.baseline is None]
    baselines = [c for c in data.curves if c.baseline is not None]
    others = [c for c in data.curves if not c.on_front and c.baseline is None]
    shown, faint = spread(members, LINES), spread(others, FAINT_LINES)
    values = [c.by for c in shown if c.by is not None] if data.by else []
    where = position(values)
    traces = [_together(faint)] if faint else []
    for i, curve in enumerate(shown):
        color = shade(where(curve.by)) if curve.by is not None and values else shade(0.3)
        traces.append(
            _line(data, curve, f"trial {curve.number}")
            | {
                "name": "front",
                "legendgroup": "front",
                "showlegend": i == 0,
                "line": {"color": color, "width": 1.8},
            }
        )
    for i, curve in enumerate(baselines):
        traces.append(
            _line(data, curve, f"baseline {curve.baseline}, trial {curve.number}")
            | {
                "name": "baselines",
                "legendgroup": "baselines",
                "showlegend": i == 0,
                "line": {"color": VERMILLION, "width": 1.8, "dash": "dash"},
            }
        )
    if values:
        traces.append(color_bar(data.by, values))
    drawn = [*shown, *faint, *baselines]
    scores = [s for c in drawn for s in c.scores if s is not None]
    axis = value_axis(data.score, bool(data.better), scores)
    if data.better is None:
        axis["title"] |= {"text": label(data.score)}
    return figure(
        traces,
        f"{short(data.study_name, 50)}: how {plural(len(data.curves), 'network')} learned",
        lines=[f"coloured by {data.by}: the members of the front"] if values else [],
        notes=[
            drawn_note(shown, members, "curves are drawn: front"),
            drawn_note(faint, others, "curves are drawn: others"),
        ],
        xaxis={"title": axis_title("step (epoch)"), "automargin": True}
        | ({"dtick": 1} if max(c.steps[-1] - c.steps[0] for c in drawn) <= 10 else {}),
        yaxis=axis,
    )


def _line(data: CurvesData, curve: Curve, head: str) -> dict[str, Any]:
    last = next((s for s in reversed(curve.scores) if s is not None), math.nan)
    values = [(f"last {data.score}", last)]
    if curve.by is not None:
        values.append((data.by, curve.by))
    return {
        "type": "scatter",
        "mode": "lines" if len(curve.steps) > 1 else "markers",
        "x": list(curve.steps),
        "y": list(curve.scores),
        "customdata": [curve.number] * len(curve.steps),
        "text": hover(head, curve.architecture, values),
        "hovertemplate": "step %{x}: %{y}<br>%{text}<extra></extra>",
    }


def _together(curves: Sequence[Curve]) -> dict[str, Any]:
    """All of them as one trace, with gaps between them."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "others",
        "x": [x for c in curves for x in (*c.steps, None)],
        "y": [y for c in curves for y in (*c.scores, None)],
        "customdata": [c.number for c in curves for _ in range(len(c.steps) + 1)],
        "line": {"color": GREY, "width": 0.8},
        "opacity": 0.35,
        "hovertemplate": "step %{x}: %{y}<br>trial %{customdata}<extra></extra>",
    }
