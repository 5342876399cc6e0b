"""Optuna's storage in a database, whose trials are read and written as rows."""

from __future__ import annotations

import json
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

from optnas.storage.rows import FEW, TRIALS, read_trials
from optnas.utils.gc import no_garbage_collection

# Statements are made once: making one takes longer than SQLite takes to answer it.
_STUDY = models.StudyModel.__table__.c
_TRIAL = models.TrialModel.__table__.c
_PARAM = models.TrialParamModel.__table__
_IS_THERE = select(_STUDY.study_id).where(_STUDY.study_id == bindparam("study_id"))
_OF_STUDY = TRIALS.where(_TRIAL.study_id == bindparam("study_id"))
_NEW = _OF_STUDY.where(
    or_(
        _TRIAL.trial_id.in_(bindparam("included", expanding=True)),
        _TRIAL.trial_id > bindparam("after"),
    )
)
_ONE = TRIALS.where(_TRIAL.trial_id == bindparam("trial_id"))
_STATE = select(_TRIAL.study_id, _TRIAL.state).where(_TRIAL.trial_id == bindparam("trial_id"))
_DISTRIBUTION = (
    select(_PARAM.c.distribution_json)
    .join(models.TrialModel.__table__)
    .where(_TRIAL.study_id == bindparam("study_id"), _PARAM.c.param_name == bindparam("name"))
    .limit(1)
)
_ADD_PARAM = insert(_PARAM)


class BulkStorage(RDBStorage):
    """Optuna's storage in a database; trials are read and written as rows, by the same rules.

    Optuna makes an object of each row, with its history of changes, which takes seven to nine times
    as long to read a study (`benchmarks/pareto.py`). What is overridden here does what Optuna's
    does, in the same transactions.

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
            return read_trials(connection, found)[0]

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        known = {"study_id": study_id}
        with self._reading() as connection:
            if trial_id_greater_than < 0 or len(included_trial_ids) > FEW:
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
            return read_trials(connection, found, self._without)

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
