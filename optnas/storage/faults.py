"""What the storage said, where an error came from there."""

from __future__ import annotations

import sqlite3

import optuna
import sqlalchemy

from optnas.errors import StorageGoneError
from optnas.storage.sqlite import explain


def storage_fault(error: BaseException) -> str | None:
    """What the storage said, if the error came from there (a full disk, a damaged file, …)."""
    kinds = (
        optuna.exceptions.StorageInternalError,
        sqlalchemy.exc.SQLAlchemyError,
        sqlite3.Error,
        StorageGoneError,
    )
    if isinstance(error, kinds) or type(error).__module__.startswith("grpc"):
        return first_line(error)
    return None


def storage_message(error: BaseException) -> str | None:
    """What to say of an error, if it came from the storage."""
    reason = storage_fault(error)
    if reason is None or isinstance(error, StorageGoneError):
        return reason
    return f"the storage failed ({reason}); what it holds is kept: run it again to go on"


def first_line(error: BaseException) -> str:
    """The first line of what the database itself said."""
    while error.__cause__ is not None:  # the database's own words
        error = error.__cause__
    details = getattr(error, "details", None)  # gRPC's errors, whose first line says nothing
    found = details() if callable(details) else str(error)
    return explain((found or type(error).__name__).strip().splitlines()[0])
