"""Reading the trials of a database as rows, and not object by object."""

from __future__ import annotations

import datetime
import json
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    check_distribution_compatibility,
    distribution_to_json,
    json_to_distribution,
)
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import TextClause, bindparam, insert, or_, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from optnas.garbage import no_garbage_collection

_TEXT = ("key", "value_json")
_FEW = 500
"""Up to so many trials are named one by one where they are asked for."""
_STUDY = models.StudyModel.__table__.c
_TRIAL = models.TrialModel.__table__.c
_STUDIES = select(_STUDY.study_id)
_IS_THERE = _STUDIES.where(_STUDY.study_id == bindparam("study_id"))
_TRIALS = select(
    _TRIAL.trial_id,
    _TRIAL.number,
    _TRIAL.state,
    _TRIAL.datetime_start,
    _TRIAL.datetime_complete,
).order_by(_TRIAL.trial_id)
_OF_STUDY = _TRIALS.where(_TRIAL.study_id == bindparam("study_id"))
_NEW = _OF_STUDY.where(
    or_(
        _TRIAL.trial_id.in_(bindparam("included", expanding=True)),
        _TRIAL.trial_id > bindparam("after"),
    )
)
_STATE = select(_TRIAL.study_id, _TRIAL.state).where(_TRIAL.trial_id == bindparam("trial_id"))
_ONE = _TRIALS.where(_TRIAL.trial_id == bindparam("trial_id"))
_PARAM = models.TrialParamModel.__table__
_ADD_PARAM = insert(_PARAM)
_DISTRIBUTION = (
    select(_PARAM.c.distribution_json)
    .join(_TRIAL.trial_id.table)
    .where(_TRIAL.study_id == bindparam("study_id"), _PARAM.c.param_name == bindparam("name"))
    .limit(1)
)
# Statements are made once: making one takes longer than SQLite takes to answer it.


class BulkStorage(RDBStorage):
    """Optuna's storage in a database; trials are read with one query for each table.

    Optuna makes an object of each row, with its history of changes, which takes seven to nine times
    as long (`benchmarks/pareto.py`).

    Args:
        without: User attributes of trials that are left out, as patterns of SQL's LIKE.
        settings: Those of Optuna's `RDBStorage`.
    """

    def __init__(self, *args: Any, without: Sequence[str] = (), **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._without = tuple(without)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """As Optuna's."""
        with self._reading() as connection:
            found = connection.execute(_ONE, {"trial_id": trial_id}).all()
            if not found:
                raise KeyError(models.NOT_FOUND_MSG)
            return _read(connection, found)[0]

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        known = {"study_id": study_id}
        with self._reading() as connection:
            if trial_id_greater_than < 0 or len(included_trial_ids) > _FEW:
                found = connection.execute(_OF_STUDY, known).all()
            else:
                new = {"included": list(included_trial_ids), "after": trial_id_greater_than}
                found = connection.execute(_NEW, known | new).all()
            if not found and connection.execute(_IS_THERE, known).first() is None:
                raise KeyError(models.NOT_FOUND_MSG)
            found = [
                row
                for row in found
                if (row.trial_id > trial_id_greater_than or row.trial_id in included_trial_ids)
                and (states is None or row.state in states)
            ]
            return _read(connection, found, self._without)

    def _set_trial_attr_without_commit(
        self, session: Session, model_cls: Any, trial_id: int, key: str, value: Any
    ) -> None:
        connection = session.connection()
        self._study_of_updatable(connection, trial_id)
        row = {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
        connection.execute(_put(model_cls, "key", "value_json"), row)

    def _set_trial_value_without_commit(
        self, session: Session, trial: Any, objective: int, value: float
    ) -> None:
        self.check_trial_is_updatable(trial.trial_id, trial.state)
        number, kind = models.TrialValueModel.value_to_stored_repr(value)
        row = {"trial_id": trial.trial_id, "objective": objective, "value": number}
        put = _put(models.TrialValueModel, "objective", "value", "value_type")
        session.connection().execute(put, row | {"value_type": kind.name})

    def _set_trial_param_without_commit(
        self,
        session: Session,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
        previous_distribution: BaseDistribution | None = None,
    ) -> None:
        connection = session.connection()
        study_id = self._study_of_updatable(connection, trial_id)
        if previous_distribution is None:
            known = {"study_id": study_id, "name": param_name}
            found = connection.execute(_DISTRIBUTION, known).scalar()
            previous_distribution = None if found is None else json_to_distribution(found)
        if previous_distribution is not None:
            check_distribution_compatibility(previous_distribution, distribution)
        row = {
            "trial_id": trial_id,
            "param_name": param_name,
            "param_value": param_value_internal,
            "distribution_json": distribution_to_json(distribution),
        }
        connection.execute(_ADD_PARAM, row)

    def _study_of_updatable(self, connection: Connection, trial_id: int) -> int:
        found = connection.execute(_STATE, {"trial_id": trial_id}).one_or_none()
        if found is None:
            raise KeyError(models.NOT_FOUND_MSG)
        self.check_trial_is_updatable(trial_id, found.state)
        return int(found.study_id)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with _create_scoped_session(self.scoped_session) as session, no_garbage_collection():
            yield session.connection()


@cache
def _put(model: Any, key: str, *values: str) -> TextClause:
    """A statement that adds a row of a trial, or changes it, in words of SQLite and PostgreSQL."""
    columns = ("trial_id", key, *values)
    return text(
        f"INSERT INTO {model.__tablename__} ({', '.join(columns)}) "
        f"VALUES ({', '.join(f':{column}' for column in columns)}) "
        f"ON CONFLICT (trial_id, {key}) "
        f"DO UPDATE SET {', '.join(f'{value} = excluded.{value}' for value in values)}"
    )


@cache
def _query(model: Any, columns: tuple[str, ...], order: str | None, few: bool) -> Any:
    """A query for rows of trials: of a few that are named, or of all."""
    table = model.__table__.c
    query = select(table.trial_id, *(table[name] for name in columns))
    if few:
        query = query.where(table.trial_id.in_(bindparam("trial_ids", expanding=True)))
    return query if order is None else query.order_by(table[order])


def _read(connection: Connection, found: Any, without: Sequence[str] = ()) -> list[FrozenTrial]:
    """The trials of these rows, which are all of one study.

    The rows were read first. What is finished doesn't change, so that nothing is read of it that
    isn't whole, although each query sees the database as it is then.
    """
    if not found:
        return []
    few = len(found) <= _FEW
    named: dict[str, Any] = {"trial_ids": [row.trial_id for row in found]} if few else {}
    own = None
    if not few and len(connection.execute(_STUDIES).all()) > 1:  # else a table is read as it lies
        same = select(_TRIAL.study_id).where(_TRIAL.trial_id == found[0].trial_id)
        own = select(_TRIAL.trial_id).where(_TRIAL.study_id == same.scalar_subquery())

    def rows(model: Any, *names: str, order: str | None = None, without: Sequence[str] = ()) -> Any:
        query = _query(model, names, order, few)
        if own is not None:
            query = query.where(model.trial_id.in_(own))
        for pattern in without:
            query = query.where(model.key.not_like(pattern))
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
