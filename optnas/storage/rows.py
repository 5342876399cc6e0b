"""Rows of a database -> Optuna's trials, many at once."""

from __future__ import annotations

import datetime
import json
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Any

from optuna.distributions import json_to_distribution
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
from sqlalchemy import bindparam, select
from sqlalchemy.engine import Connection

FEW = 500
"""Up to so many trials are named one by one where they are asked for."""
_TEXT = ("key", "value_json")
_STUDIES = select(models.StudyModel.__table__.c.study_id)
_TRIAL = models.TrialModel.__table__.c
TRIALS = select(
    _TRIAL.trial_id,
    _TRIAL.number,
    _TRIAL.state,
    _TRIAL.datetime_start,
    _TRIAL.datetime_complete,
).order_by(_TRIAL.trial_id)
"""The rows of all trials, by id."""


def read_trials(
    connection: Connection, found: Any, without: Sequence[str] = ()
) -> list[FrozenTrial]:
    """Reads the rest of some trials, with one query for each table.

    What is finished doesn't change, so that nothing is read of it that isn't whole, although each
    query sees the database as it is then.

    Args:
        connection: A connection to the database.
        found: Rows of `TRIALS`, read just now, all of one study.
        without: User attributes that are left out, as patterns of SQL's LIKE.
    """
    if not found:
        return []
    few = len(found) <= FEW
    named: dict[str, Any] = {"trial_ids": [row.trial_id for row in found]} if few else {}
    own = None
    if not few and len(connection.execute(_STUDIES).all()) > 1:  # else a table is read as it lies
        same = select(_TRIAL.study_id).where(_TRIAL.trial_id == found[0].trial_id)
        own = select(_TRIAL.trial_id).where(_TRIAL.study_id == same.scalar_subquery())

    def rows(model: Any, *names: str, order: str | None = None, without: Sequence[str] = ()) -> Any:
        query = _query(model, names, order, few)
        if own is not None:
            query = query.where(model.__table__.c.trial_id.in_(own))
        for pattern in without:
            query = query.where(model.__table__.c.key.not_like(pattern))
        return connection.execute(query, named).all()

    value = models.TrialValueModel
    values: dict[int, list[float]] = defaultdict(list)
    for trial_id, number, kind in rows(value, "value", "value_type", order="objective"):
        values[trial_id].append(value.stored_repr_to_value(number, kind))
    step_value = models.TrialIntermediateValueModel
    steps: dict[int, dict[int, float]] = defaultdict(dict)
    for trial_id, step, number, kind in rows(
        step_value, "step", "intermediate_value", "intermediate_value_type", order="step"
    ):
        steps[trial_id][step] = step_value.stored_repr_to_intermediate_value(number, kind)
    params, distributions = _params(
        rows(
            models.TrialParamModel,
            "param_name",
            "param_value",
            "distribution_json",
            order="param_id",
        )
    )
    user = _attributes(rows(models.TrialUserAttributeModel, *_TEXT, without=without))
    system = _attributes(rows(models.TrialSystemAttributeModel, *_TEXT))
    return [
        FrozenTrial(
            number=number,
            state=state,
            value=None,
            values=values.get(trial_id),
            datetime_start=_local(start),
            datetime_complete=_local(complete),
            params=params.get(trial_id, {}),
            distributions=distributions.get(trial_id, {}),
            user_attrs=user.get(trial_id, {}),
            system_attrs=system.get(trial_id, {}),
            intermediate_values=steps.get(trial_id, {}),
            trial_id=trial_id,
        )
        for trial_id, number, state, start, complete in found
    ]


@cache
def _query(model: Any, columns: tuple[str, ...], order: str | None, few: bool) -> Any:
    """A query for rows of trials: of a few that are named, or of all."""
    table = model.__table__.c
    query = select(table.trial_id, *(table[name] for name in columns))
    if few:
        query = query.where(table.trial_id.in_(bindparam("trial_ids", expanding=True)))
    return query if order is None else query.order_by(table[order])


def _local(stored: datetime.datetime | None) -> datetime.datetime | None:
    """A time of this place, as Optuna gives it: what is stored is UTC."""
    if stored is None:
        return None
    return stored.replace(tzinfo=datetime.UTC).astimezone().replace(tzinfo=None)


def _params(rows: Any) -> tuple[dict[int, dict[str, Any]], dict[int, dict[str, Any]]]:
    """Parameters and distributions by trial; equal distributions are one object."""
    params: dict[int, dict[str, Any]] = defaultdict(dict)
    distributions: dict[int, dict[str, Any]] = defaultdict(dict)
    known: dict[str, Any] = {}
    for trial_id, name, number, encoded in rows:
        distribution = known.get(encoded)
        if distribution is None:
            distribution = known[encoded] = json_to_distribution(encoded)
        params[trial_id][name] = distribution.to_external_repr(number)
        distributions[trial_id][name] = distribution
    return params, distributions


def _attributes(rows: Any) -> dict[int, dict[str, Any]]:
    """Attributes by trial; all are decoded in one go."""
    decoded = json.loads(f"[{','.join(encoded for _, _, encoded in rows)}]")
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    for (trial_id, key, _), value in zip(rows, decoded, strict=True):
        found[trial_id][key] = value
    return found
