"""Rows of a database -> Optuna's trials, many at once.

This needs Optuna's private tables: `row_storage` calls it only where these are the known ones.
"""

from __future__ import annotations

import datetime
import json
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from optuna.distributions import json_to_distribution
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import bindparam, or_, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session, scoped_session

from optnas.storage.few_rows import Parts, read_few
from optnas.utils.gc import no_garbage_collection

FEW = 500
"""Up to this many trials are named one by one in a query."""
# Statements are made once: making one takes longer than SQLite takes to answer it.
_TEXT = ("key", "value_json")
_DRAWN = ("param_name", "param_value", "distribution_json")
_STUDY = models.StudyModel.__table__.c
_STUDIES = select(_STUDY.study_id)
_IS_THERE = _STUDIES.where(_STUDY.study_id == bindparam("study_id"))
_STUDY_ATTRIBUTES = {  # a study without attributes has one row, which is empty
    kind: text(
        f"SELECT a.key, a.value_json FROM studies s LEFT JOIN study_{kind}_attributes a "
        "ON a.study_id = s.study_id WHERE s.study_id = :study_id"
    )
    for kind in ("user", "system")
}
_TRIAL = models.TrialModel.__table__.c
_TRIALS = select(
    _TRIAL.trial_id,
    _TRIAL.number,
    _TRIAL.state,
    _TRIAL.datetime_start,
    _TRIAL.datetime_complete,
).order_by(_TRIAL.trial_id)
_ONE = _TRIALS.where(_TRIAL.trial_id == bindparam("trial_id"))
_OF_STUDY = _TRIALS.where(_TRIAL.study_id == bindparam("study_id"))
_NEW = _OF_STUDY.where(
    or_(
        _TRIAL.trial_id.in_(bindparam("included", expanding=True)),
        _TRIAL.trial_id > bindparam("after"),
    )
)


@contextmanager
def statements(sessions: scoped_session[Session]) -> Iterator[Connection]:
    """A connection for single statements, in a session of Optuna's.

    On a server each is a transaction of its own, which saves the ways there and back that the
    beginning and the end of one take.
    """
    with _create_scoped_session(sessions) as session, no_garbage_collection():
        # Optuna reads a trial inside of a transaction to say which one has ended.
        alone = session.get_bind().dialect.name == "postgresql" and not session.in_transaction()
        settings = {"isolation_level": "AUTOCOMMIT"} if alone else {}
        yield session.connection(execution_options=settings)


def study_attributes(connection: Connection, kind: str, study_id: int) -> dict[str, Any]:
    """User or system attributes of a study; raises KeyError if there is no such study."""
    found = connection.execute(_STUDY_ATTRIBUTES[kind], {"study_id": study_id}).all()
    if not found:
        raise KeyError(models.NOT_FOUND_MSG)
    return {key: json.loads(encoded) for key, encoded in found if key is not None}


def one_trial(connection: Connection, trial_id: int) -> FrozenTrial:
    """A trial by its id, as Optuna's `get_trial`; raises KeyError if there is none."""
    found = connection.execute(_ONE, {"trial_id": trial_id}).all()
    if not found:
        raise KeyError(models.NOT_FOUND_MSG)
    return _read_trials(connection, found)[0]


def trials_of(
    connection: Connection,
    without: Sequence[str],
    kept: Mapping[int, FrozenTrial],
    study_id: int,
    states: Container[TrialState] | None,
    included_trial_ids: set[int],
    trial_id_greater_than: int,
) -> list[FrozenTrial]:
    """Trials of a study, as Optuna's `_get_trials`; raises KeyError if there is no such study.

    Args:
        connection: A connection to the database.
        without: User attributes that are left out, as patterns of SQL's LIKE.
        kept: Running trials by id that needn't be read again while they run.
        study_id: The study.
        states: The states to read; None for all.
        included_trial_ids: Trials to read whatever their id.
        trial_id_greater_than: All trials with a greater id are read.
    """
    known = {"study_id": study_id}
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
    running = {row.trial_id for row in found if row.state == TrialState.RUNNING} & kept.keys()
    if not running:
        return _read_trials(connection, found, without)
    others = [row for row in found if row.trial_id not in running]
    read = {trial._trial_id: trial for trial in _read_trials(connection, others, without)}
    return [read.get(row.trial_id) or kept[row.trial_id] for row in found]


def _read_trials(
    connection: Connection, found: Any, without: Sequence[str] = ()
) -> list[FrozenTrial]:
    """Reads the rest of some trials: `found` are rows of `_TRIALS`, read just now, of one study."""
    if not found:
        return []
    if len(found) <= FEW:
        parts = read_few(connection, [row.trial_id for row in found], without)
    else:
        parts = _read_tables(connection, found[0].trial_id, without)
    value = models.TrialValueModel
    values: dict[int, list[float]] = defaultdict(list)
    for trial_id, number, kind in parts.values:
        values[trial_id].append(value.stored_repr_to_value(number, kind))
    step_value = models.TrialIntermediateValueModel
    steps: dict[int, dict[int, float]] = defaultdict(dict)
    for trial_id, step, number, kind in parts.steps:
        steps[trial_id][step] = step_value.stored_repr_to_intermediate_value(number, kind)
    params, distributions = _params(parts.params)
    user, system = _attributes(parts.user), _attributes(parts.system)
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


def _read_tables(connection: Connection, trial_id: int, without: Sequence[str]) -> Parts:
    """The rows of all trials of a study, which one of its trials names: a query for each table.

    Each query sees the database as it is then; finished trials are whole all the same, because they
    don't change.
    """
    own = None
    if len(connection.execute(_STUDIES).all()) > 1:  # else a table is read as it lies
        same = select(_TRIAL.study_id).where(_TRIAL.trial_id == trial_id)
        own = select(_TRIAL.trial_id).where(_TRIAL.study_id == same.scalar_subquery())

    def rows(model: Any, *names: str, order: str | None = None, without: Sequence[str] = ()) -> Any:
        query = _query(model, names, order)
        if own is not None:
            query = query.where(model.__table__.c.trial_id.in_(own))
        for pattern in without:
            query = query.where(model.__table__.c.key.not_like(pattern))
        return connection.execute(query).all()

    kind = "intermediate_value_type"
    return Parts(
        rows(models.TrialValueModel, "value", "value_type", order="objective"),
        rows(models.TrialIntermediateValueModel, "step", "intermediate_value", kind, order="step"),
        rows(models.TrialParamModel, *_DRAWN, order="param_id"),
        rows(models.TrialUserAttributeModel, *_TEXT, without=without),
        rows(models.TrialSystemAttributeModel, *_TEXT),
    )


@cache
def _query(model: Any, columns: tuple[str, ...], order: str | None) -> Any:
    """A query for the rows of all trials."""
    table = model.__table__.c
    query = select(table.trial_id, *(table[name] for name in columns))
    return query if order is None else query.order_by(table[order])


def _local(stored: datetime.datetime | None) -> datetime.datetime | None:
    """A stored time, which is UTC, in the local time zone, as Optuna gives it."""
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
