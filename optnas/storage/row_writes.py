"""Attributes, values and parameters of a trial -> rows of a database, as Optuna writes them.

Each function does what the one of Optuna's `RDBStorage` does, in the same transaction. They need
Optuna's private tables: `row_storage` calls them only where these are the known ones.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from functools import cache
from types import SimpleNamespace
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
from optuna.trial import FrozenTrial
from sqlalchemy import TextClause, bindparam, func, insert, select, text
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
_PUT_ATTRIBUTE = {
    kind: text(
        f"INSERT INTO trial_{kind}_attributes (trial_id, key, value_json) "
        "SELECT trial_id, :key, :value_json FROM trials "
        "WHERE trial_id = :trial_id AND state IN ('RUNNING', 'WAITING') "
        "ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json"
    )
    for kind in ("user", "system")
}
_NEW_TRIAL = (
    insert(models.TrialModel.__table__)
    .from_select(
        ["number", "study_id", "state", "datetime_start"],
        select(
            func.count(),
            bindparam("study", type_=_TRIAL.study_id.type),
            bindparam("state", type_=_TRIAL.state.type),
            bindparam("start", type_=_TRIAL.datetime_start.type),
        ).where(_TRIAL.study_id == bindparam("study", type_=_TRIAL.study_id.type)),
    )
    .returning(_TRIAL.trial_id, _TRIAL.number)
)
"""Its number is the number of trials that there are."""
_ADD_PARAM = insert(_PARAM)
_DRAW = text(
    "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) "
    "VALUES (:trial_id, :name, :value, :distribution) "
    "ON CONFLICT (trial_id, param_name) DO NOTHING"
)
"""A parameter that a trial has already stays, as Optuna's `set_trial_param` leaves it."""


def new_trial(study_id: int, template: FrozenTrial, session: Session) -> Any:
    """As Optuna's `_get_prepared_new_trial`, of a trial that has attributes alone.

    A study is locked meanwhile, and nobody else makes a trial: two statements hold it shorter than
    five.
    """
    connection = session.connection()
    start = template.datetime_start
    utc = None if start is None else start.astimezone(datetime.UTC).replace(tzinfo=None)
    row = {"study": study_id, "state": template.state, "start": utc}
    trial_id, number = connection.execute(_NEW_TRIAL, row).one()
    for kind, attributes in (("user", template.user_attrs), ("system", template.system_attrs)):
        if attributes:
            codes = {key: json.dumps(value) for key, value in attributes.items()}
            connection.execute(_PUT_ATTRIBUTE[kind], _attribute_rows(trial_id, codes))
    return SimpleNamespace(trial_id=trial_id, number=number, datetime_start=start)


def _attribute_rows(trial_id: int, codes: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"trial_id": trial_id, "key": key, "value_json": code} for key, code in codes.items()]


def set_attribute(
    storage: RDBStorage, session: Session, model_cls: Any, trial_id: int, key: str, value: Any
) -> None:
    """As Optuna's `_set_trial_attr_without_commit`."""
    kind = "user" if model_cls is models.TrialUserAttributeModel else "system"
    put_attribute(storage, session.connection(), kind, trial_id, key, value)


def put_attribute(
    storage: RDBStorage, connection: Connection, kind: str, trial_id: int, key: str, value: Any
) -> None:
    """Adds a user or system attribute of a trial, or changes it, by one statement.

    Raises:
        UpdateFinishedTrialError: The trial has ended.
        KeyError: There is no such trial.
    """
    try:
        code = json.dumps(value)
    except Exception:  # it can't be encoded
        _study_of_updatable(storage, connection, trial_id)  # which Optuna asks first
        raise
    row = {"trial_id": trial_id, "key": key, "value_json": code}
    if not connection.execute(_PUT_ATTRIBUTE[kind], row).rowcount:
        _study_of_updatable(storage, connection, trial_id)


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
        previous_distribution = _earlier(connection, study_id, param_name)
    if previous_distribution is not None:
        check_distribution_compatibility(previous_distribution, distribution)
    row = {
        "trial_id": trial_id,
        "param_name": param_name,
        "param_value": param_value_internal,
        "distribution_json": distribution_to_json(distribution),
    }
    connection.execute(_ADD_PARAM, row)


def write_all(
    storage: RDBStorage,
    known: dict[tuple[int, str], BaseDistribution],
    trial_id: int,
    params: Mapping[str, tuple[float, BaseDistribution]],
    user: Mapping[str, str],
    system: Mapping[str, str],
) -> None:
    """Parameters and attributes of a trial in one transaction (see `RowStorage.write`).

    Args:
        storage: The storage.
        known: Distributions by study and name, as they were read or written before; new ones are
            added.
        trial_id: The trial.
        params: Internal value and distribution by name.
        user: Encoded user attributes.
        system: Encoded system attributes.
    """
    with _create_scoped_session(storage.scoped_session) as session:
        connection = session.connection()
        study_id = _study_of_updatable(storage, connection, trial_id)
        rows = []
        for name, (value, distribution) in params.items():
            earlier = known.get((study_id, name)) or _earlier(connection, study_id, name)
            if earlier is not None:
                check_distribution_compatibility(earlier, distribution)
            code = distribution_to_json(distribution)
            rows.append({"trial_id": trial_id, "name": name, "value": value, "distribution": code})
        if rows:
            connection.execute(_DRAW, rows)
        for kind, attributes in (("user", user), ("system", system)):
            if attributes:
                connection.execute(_PUT_ATTRIBUTE[kind], _attribute_rows(trial_id, attributes))
    for name, (_, distribution) in params.items():
        known.setdefault((study_id, name), distribution)


def _earlier(connection: Connection, study_id: int, name: str) -> BaseDistribution | None:
    """The distribution that a parameter of the study has been drawn from."""
    found = connection.execute(_DISTRIBUTION, {"study_id": study_id, "name": name}).scalar()
    return None if found is None else json_to_distribution(found)


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
