"""Reading the trials of a database at once, and not object by object."""

from __future__ import annotations

import datetime
import json
from collections import defaultdict
from collections.abc import Container, Sequence
from typing import Any

import sqlalchemy
from optuna.distributions import json_to_distribution
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import Connection

from optnas.garbage import no_garbage_collection

_TEXT = ("key", "value_json")


class BulkStorage(RDBStorage):
    """Optuna's storage in a database; a study is read with one query for each table.

    Optuna makes an object of each row, with its history of changes, which takes seven to nine times
    as long (`benchmarks/pareto.py`).

    Args:
        without: User attributes of trials that are left out, as patterns of SQL's LIKE.
        settings: Those of Optuna's `RDBStorage`.
    """

    def __init__(self, *args: Any, without: Sequence[str] = (), **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._without = tuple(without)

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        if trial_id_greater_than > -1:  # what is new since: few
            return super()._get_trials(study_id, states, included_trial_ids, trial_id_greater_than)
        self.get_study_name_from_id(study_id)  # raises KeyError if it is gone
        with self.engine.connect() as connection, no_garbage_collection():
            trials = _read(connection, study_id, self._without)
        return trials if states is None else [t for t in trials if t.state in states]


def _read(connection: Connection, study_id: int, without: Sequence[str]) -> list[FrozenTrial]:
    """All trials of a study, by id.

    The trials are read first. What is finished doesn't change, so that nothing is read of it that
    isn't whole, although each query sees the database as it is then.
    """
    trial = models.TrialModel.__table__
    found: Any = connection.execute(
        sqlalchemy.select(
            trial.c.trial_id,
            trial.c.number,
            trial.c.state,
            trial.c.datetime_start,
            trial.c.datetime_complete,
        )
        .where(trial.c.study_id == study_id)
        .order_by(trial.c.trial_id)
    ).all()

    studies = connection.execute(sqlalchemy.select(models.StudyModel.__table__.c.study_id)).all()
    own = sqlalchemy.select(trial.c.trial_id).where(trial.c.study_id == study_id)

    def rows(model: Any, *names: str, order: str | None = None, without: Sequence[str] = ()) -> Any:
        table = model.__table__
        query = sqlalchemy.select(table.c.trial_id, *(table.c[name] for name in names))
        if len(studies) > 1:  # else a table is read as it lies
            query = query.where(table.c.trial_id.in_(own))
        for pattern in without:
            query = query.where(table.c.key.not_like(pattern))
        return connection.execute(query if order is None else query.order_by(table.c[order])).all()

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
    for trial_id, name, number, text in rows:
        distribution = known.get(text)
        if distribution is None:
            distribution = known[text] = json_to_distribution(text)
        params[trial_id][name] = distribution.to_external_repr(number)
        distributions[trial_id][name] = distribution
    return params, distributions


def _attributes(rows: Any) -> dict[int, dict[str, Any]]:
    """Attributes by trial; all are decoded in one go."""
    decoded = json.loads(f"[{','.join(text for _, _, text in rows)}]")
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    for (trial_id, key, _), value in zip(rows, decoded, strict=True):
        found[trial_id][key] = value
    return found
