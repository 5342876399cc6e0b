"""All that a database holds of a few trials, read by one statement.

A worker reads the study several times a trial, and each time only the trials that run or are new.
Where the database is a server, the way to it and back is what a statement costs. `rows` calls this
only where Optuna's tables are the known ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from optuna.storages._rdb import models
from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.engine import Connection


class Parts(NamedTuple):
    """The rows of some trials, table by table; each row begins with the trial's id.

    Attributes:
        values: Objective values, each with its kind, in the order of the objectives.
        steps: Steps, each with an intermediate value and its kind, in the order of the steps.
        params: Names, internal values and distributions, in the order in which they were drawn.
        user: Keys and encoded values of the user attributes.
        system: The same of the system attributes.
    """

    values: Sequence[Any]
    steps: Sequence[Any]
    params: Sequence[Any]
    user: Sequence[Any]
    system: Sequence[Any]


_PARAM, _VALUE, _STEP, _USER, _SYSTEM = range(5)
# The first part gives the columns their types.
_PARTS = (
    f"SELECT {_PARAM} AS part, trial_id, param_id AS position, param_name AS name, "
    "param_value AS value, distribution_json AS encoded FROM trial_params WHERE {these}",
    f"SELECT {_VALUE}, trial_id, objective, CAST(value_type AS VARCHAR), value, NULL "
    "FROM trial_values WHERE {these}",
    f"SELECT {_STEP}, trial_id, step, CAST(intermediate_value_type AS VARCHAR), "
    "intermediate_value, NULL FROM trial_intermediate_values WHERE {these}",
    f"SELECT {_USER}, trial_id, NULL, key, NULL, value_json FROM trial_user_attributes "
    "WHERE {these}{but}",
    f"SELECT {_SYSTEM}, trial_id, NULL, key, NULL, value_json FROM trial_system_attributes "
    "WHERE {these}",
)


def read_few(connection: Connection, trial_ids: list[int], without: Sequence[str] = ()) -> Parts:
    """The rows of some trials.

    Args:
        connection: A connection to the database.
        trial_ids: The trials.
        without: User attributes that are left out, as patterns of SQL's LIKE.
    """
    statement = _statement(connection.dialect.name, len(without))
    patterns = {f"without{i}": pattern for i, pattern in enumerate(without)}
    parts: tuple[list[Any], ...] = ([], [], [], [], [])
    for part, *row in connection.execute(statement, {"trial_ids": trial_ids} | patterns):
        parts[part].append(row)
    kind = models.TrialValueModel.TrialValueType
    step_kind = models.TrialIntermediateValueModel.TrialIntermediateValueType
    order = sorted(parts[_VALUE], key=_position), sorted(parts[_STEP], key=_position)
    return Parts(
        [(trial, value, kind[name]) for trial, _, name, value, _ in order[0]],
        [(trial, step, value, step_kind[name]) for trial, step, name, value, _ in order[1]],
        [
            (t, name, value, code)
            for t, _, name, value, code in sorted(parts[_PARAM], key=_position)
        ],
        [(trial, key, code) for trial, _, key, _, code in parts[_USER]],
        [(trial, key, code) for trial, _, key, _, code in parts[_SYSTEM]],
    )


def _position(row: Sequence[Any]) -> int:
    return int(row[1])


@cache
def _statement(dialect: str, without: int) -> TextClause:
    # PostgreSQL prepares a statement that it has seen before: an array keeps it the same.
    array = dialect == "postgresql"
    these = "trial_id = ANY(:trial_ids)" if array else "trial_id IN :trial_ids"
    but = "".join(f" AND key NOT LIKE :without{i}" for i in range(without))
    found = text(" UNION ALL ".join(_PARTS).format(these=these, but=but))
    return found if array else found.bindparams(bindparam("trial_ids", expanding=True))
