"""What trackers are told of a trial and of a front."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.rows import Row, architecture_rows
from optnas.pareto.snapshot import Snapshot
from optnas.plots import ParetoData, pareto_data
from optnas.study.attributes import (
    BASELINE,
    CURVE,
    DUPLICATE_OF,
    FAILURE,
    LOST,
    PRUNED,
    RETRY_OF,
    STOPPED,
    SURPLUS,
    TRAIN_SECONDS,
    is_lost,
)
from optnas.study.describe import (
    architecture_name,
    measurement_of,
    number_of,
    recipe_text,
    state_of,
)
from optnas.study.objectives import objective_names

Points = list[tuple[int, dict[str, float]]]
CURVES = "curve/"
"""Begins the names of scores by epoch; the value of the trial has the score's own name."""
_REASONS = (FAILURE, LOST, PRUNED)
_TAGS = (BASELINE, RETRY_OF, DUPLICATE_OF)


@dataclass(frozen=True)
class TrialFacts:
    """A trial, as trackers are told of it.

    Attributes:
        number: Its number.
        params: Its parameters.
        values: Costs, scores and objectives by name, `train_seconds`, and by `constraint/NAME` how
            far each bound is broken (0 or less: it isn't).
        texts: `state`, `architecture`, `recipe`, and `reason`, `baseline`, `retry_of`,
            `duplicate_of` where there is one.
        points: The scores of each step.
        state: `running`, `complete`, `pruned`, `stopped`, `fail` or `lost`.
        began: When it began.
        ended: When it ended.
    """

    number: int
    params: Mapping[str, Any]
    values: Mapping[str, float]
    texts: Mapping[str, str]
    points: Points
    state: str
    began: datetime.datetime | None
    ended: datetime.datetime | None

    @property
    def name(self) -> str:
        """What the trial's run is called."""
        return f"trial {self.number}"


def trial_facts(study: Study, trial: FrozenTrial) -> TrialFacts:
    """What trackers are told of a trial, which may be running."""
    attrs = trial.user_attrs
    values = {n: v for n in attrs if (v := measurement_of(trial, n)) is not None}
    if trial.values is not None and trial.state == TrialState.COMPLETE:
        values |= dict(zip(objective_names(study), trial.values, strict=True))
    if (seconds := number_of(trial, TRAIN_SECONDS)) is not None:
        values[TRAIN_SECONDS] = seconds
    values |= {f"constraint/{name}": excess for name, excess in trial.constraints.items()}
    state = state_of(trial).lower()
    texts = {
        "state": state,
        "architecture": architecture_name(trial),
        "recipe": recipe_text(trial),
        "reason": next((str(attrs[key]) for key in _REASONS if key in attrs), ""),
    } | {key: str(attrs[key]) for key in _TAGS if key in attrs}
    if is_lost(trial):
        texts["reason"] = f"its process was {attrs[LOST]}"
    if STOPPED in attrs and not texts["reason"]:
        texts["reason"] = "its training couldn't reach the front any more"
    return TrialFacts(
        number=trial.number,
        params=dict(trial.params),
        values={name: float(value) for name, value in values.items()},
        texts={key: text for key, text in texts.items() if text},
        points=_points(attrs.get(CURVE)),
        state=state,
        began=trial.datetime_start,
        ended=trial.datetime_complete,
    )


def _points(curve: Any) -> Points:
    """The curve of a trial's attribute, which other programs may have written."""
    if not isinstance(curve, list):
        return []
    rows = [row for row in curve if isinstance(row, dict) and type(row.get("step")) is int]
    return [(row["step"], numbers({k: v for k, v in row.items() if k != "step"})) for row in rows]


def numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    """The scores that are numbers."""
    return {
        str(name): float(value)
        for name, value in scores.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


@dataclass(frozen=True)
class FrontFacts:
    """A study's front, as trackers are told of it.

    Attributes:
        rows: A row for each member (see `optnas.pareto.rows`).
        data: The data of its figure; None with one objective.
        finished: The number of trials that have ended.
        values: `front` (the number of members), `trials`, and `hypervolume` if there is one.
        ids: The members' trials by number, each with its id in the storage.
    """

    rows: list[Row]
    data: ParetoData | None
    finished: int
    values: Mapping[str, float]
    ids: Mapping[int, int] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """The columns of the table that have a value in one of its rows."""
        return [c for c in self.rows[0] if any(r[c] is not None for r in self.rows)]


def front_facts(seen: Snapshot) -> FrontFacts | None:
    """What trackers are told of a front; None while it is empty."""
    if not seen.front:
        return None
    finished = sum(t.state.is_finished() and SURPLUS not in t.user_attrs for t in seen.trials)
    values = {"front": float(len(seen.front)), "trials": float(finished)}
    if len(seen.names) > 1 and seen.hypervolume is not None:
        values["hypervolume"] = seen.hypervolume
    return FrontFacts(
        rows=[row for row in architecture_rows(seen) if row["place"] == "front"],
        data=pareto_data(seen) if len(seen.names) > 1 else None,
        finished=finished,
        values=values,
        ids={trial.number: trial._trial_id for trial in seen.front},
    )
