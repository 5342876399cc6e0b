"""Attributes, values and parameters of a trial -> rows of a database, as Optuna writes them.

Each function does what the one of Optuna's `RDBStorage` does, in the same transaction. They need
Optuna's private tables: `row_storage` calls them only where these are the known ones.
"""

from __future__ import annotations

import json
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
from sqlalchemy import TextClause, bindparam, insert, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

# Statements are made once: making one takes longer than SQLite takes to answer it.
_TRIAL = models.TrialModel.__table__.c
_PARAM = models.TrialParamModel.__table__
_STATE = select(_TRIAL.study_id, _TRIAL.state).where(_TRIAL.trial_id == bindparam("trial_id"))
_DISTRIBUTION = (
    select(_PARAM.c.distribution_json)
    .join(models.TrialModel.__table__)
    .where(_TRIAL.study_id == bindparam("study_id"), _PARAM.c.param_name == bindparam("name"))
    .limit(1)
)
_ADD_PARAM = insert(_PARAM)


def set_attribute(
    storage: RDBStorage, session: Session, model_cls: Any, trial_id: int, key: str, value: Any
) -> None:
    """As Optuna's `_set_trial_attr_without_commit`."""
    connection = session.connection()
    _study_of_updatable(storage, connection, trial_id)
    row = {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
    connection.execute(_put(model_cls, "key", "value_json"), row)


def set_value(
    storage: RDBStorage, session: Session, trial: Any, objective: int, value: float
) -> None:
    """As Optuna's `_set_trial_value_without_commit`."""
    storage.check_trial_is_updatable(trial.trial_id, trial.state)
    number, kind = models.TrialValueModel.value_to_stored_repr(value)
    row = {"trial_id": trial.trial_id, "objective": objective, "value": number}
    put = _put(models.TrialValueModel, "objective", "value", "value_type")
    session.connection().execute(put, row | {"value_type": kind.name})


def set_param(
    storage: RDBStorage,
    session: Session,
    trial_id: int,
    param_name: str,
    param_value_internal: float,
    distribution: BaseDistribution,
    previous_distribution: BaseDistribution | None = None,
) -> None:
    """As Optuna's `_set_trial_param_without_commit`."""
    connection = session.connection()
    study_id = _study_of_updatable(storage, connection, trial_id)
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


def _study_of_updatable(storage: RDBStorage, connection: Connection, trial_id: int) -> int:
    found = connection.execute(_STATE, {"trial_id": trial_id}).one_or_none()
    if found is None:
        raise KeyError(models.NOT_FOUND_MSG)
    storage.check_trial_is_updatable(trial_id, found.state)
    return int(found.study_id)


@cache
def _put(model: Any, key: str, *values: str) -> TextClause:
    """A statement that adds a row of a trial, or changes it, as SQLite and PostgreSQL read it."""
    columns = ("trial_id", key, *values)
    return text(
        f"INSERT INTO {model.__tablename__} ({', '.join(columns)}) "
        f"VALUES ({', '.join(f':{column}' for column in columns)}) "
        f"ON CONFLICT (trial_id, {key}) "
        f"DO UPDATE SET {', '.join(f'{value} = excluded.{value}' for value in values)}"
    )
