"""Which errors come from the storage, and what to report of them."""

from __future__ import annotations

import sqlite3

import optuna
import sqlalchemy

from optnas.errors import StorageGoneError
from optnas.storage.sqlite import explain


def storage_fault(error: BaseException) -> str | None:
    """The storage's message, if the error is one of its own (a full disk, a damaged file, …)."""
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
    """A sentence for the user, if the error is the storage's."""
    reason = storage_fault(error)
    if reason is None or isinstance(error, StorageGoneError):
        return reason
    again = "make room on the disk, and run it again" if is_full(reason) else "run it again"
    return f"the storage failed ({reason}); what it holds is kept: {again} to resume"


def is_full(message: str) -> bool:
    """Whether a message of SQLite, a server or the system says that a disk is full."""
    return any(text in message for text in ("full", "No space left", "quota exceeded"))


def first_line(error: BaseException) -> str:
    """The first line of the database's own message."""
    while error.__cause__ is not None:
        error = error.__cause__
    details = getattr(error, "details", None)  # gRPC's errors, whose first line says nothing
    found = details() if callable(details) else str(error)
    return explain((found or type(error).__name__).strip().splitlines()[0])
