"""A URL -> an Optuna storage that is set up to survive."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.engine import make_url

from optnas.errors import InputError

SQLITE_TIMEOUT = 60
"""Seconds to wait for a lock that another process holds."""


def open_storage(url: str, *, create: bool = False) -> BaseStorage:
    """Opens the storage behind an SQLAlchemy URL, such as `sqlite:///study.db`.

    SQLite is put in WAL mode with `synchronous=NORMAL` (a crash of the machine can lose the last
    transactions, but never the file) and waits for locks instead of failing.

    Args:
        url: The URL.
        create: Whether to make the SQLite file if it doesn't exist yet, and to write to it.

    Raises:
        InputError: The URL is wrong, nothing is there, or what is there is no Optuna storage.
    """
    path = sqlite_path(url)
    if path is not None:
        return _open_sqlite(url, path, create)
    shown = make_url(url).render_as_string(hide_password=True)
    try:
        return optuna.storages.get_storage(url)
    except ImportError as error:
        raise InputError(
            f"storage {shown} needs its database's Python driver ({error.__cause__}): install it"
        ) from error
    except (sqlalchemy.exc.SQLAlchemyError, RuntimeError, ValueError) as error:
        raise InputError(f"storage {shown} can't be opened: {_first_line(error)}") from error


def sqlite_url(path: Path) -> str:
    """The URL of an SQLite file, whatever characters its path has."""
    return sqlalchemy.URL.create("sqlite", database=str(path)).render_as_string()


def sqlite_path(url: str) -> Path | None:
    """The file behind an SQLite URL; None for any other URL.

    Raises:
        InputError: This is no URL, or names no file.
    """
    try:
        parsed = make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise InputError(
            f"storage {url!r} is no URL: give sqlite:///{url if url[-3:] == '.db' else 'study.db'}"
            " (three slashes before a relative path, four before an absolute one)"
        ) from error
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:":
        raise InputError(
            f"storage {url!r} names no file: give sqlite:///study.db, with three slashes before a "
            "relative path"
        )
    return Path(parsed.database)


def _open_sqlite(url: str, path: Path, create: bool) -> BaseStorage:
    try:
        exists = path.exists()
    except OSError as error:
        raise InputError(f"{path} can't be a file: {error.strerror}") from error
    if not exists and not create:
        raise InputError(f"there is no study at {path}: `optnas run` makes one")
    if not path.absolute().parent.is_dir():
        raise InputError(f"there is no folder {path.parent} to keep {path.name} in: make it first")
    if exists:
        _check_sqlite(path, create)
    writable = os.access(path if exists else path.absolute().parent, os.W_OK)
    if create and not writable:
        raise InputError(f"{path} is read-only: allow writing to it, or give another --storage")
    try:
        storage = RDBStorage(url, {"connect_args": {"timeout": SQLITE_TIMEOUT}})
        if create:
            sqlalchemy.event.listen(storage.engine, "connect", _set_pragmas)
            # Connections that were made before don't have the settings.
            storage.engine.dispose()
        return optuna.storages.get_storage(storage)
    except (
        optuna.exceptions.OptunaError,
        sqlalchemy.exc.SQLAlchemyError,
        RuntimeError,
    ) as error:
        raise InputError(f"{path} can't be opened as a study: {_first_line(error)}") from error


def _check_sqlite(path: Path, create: bool) -> None:
    """Raises InputError unless the file is an SQLite database of Optuna's (or empty, to create).

    SQLite does the looking: a process that opens and closes the file itself drops the locks that
    its own connections hold on it.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=SQLITE_TIMEOUT)) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = sorted(name for (name,) in rows)
    except sqlite3.Error as error:
        raise InputError(
            f"{path} can't be read as an SQLite database ({error}); give another --storage"
        ) from error
    if not tables and not create:
        raise InputError(f"there is no study in {path} yet: `optnas run` makes one")
    if tables and not {"studies", "trials", "version_info"} <= set(tables):
        raise InputError(
            f"{path} is a database of another program (tables: {', '.join(tables[:5])}); give "
            "another --storage"
        )


def _set_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def storage_fault(error: BaseException) -> str | None:
    """What the database said, if the error came from there (a full disk, a damaged file, …)."""
    kinds = (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError, sqlite3.Error)
    return _first_line(error) if isinstance(error, kinds) else None


def _first_line(error: BaseException) -> str:
    return str(error.__cause__ or error).strip().splitlines()[0]
