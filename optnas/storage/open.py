"""A URL -> an Optuna storage that is set up to survive."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from random import uniform
from typing import TypeVar

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, GrpcStorageProxy, RDBStorage
from sqlalchemy.engine import URL

from optnas.errors import InputError
from optnas.storage.faults import first_line
from optnas.storage.journal import open_journal
from optnas.storage.row_storage import RowStorage
from optnas.storage.server import server_storage
from optnas.storage.sqlite import READ_TIMEOUT, SQLiteStorage, check_sqlite, reading_url
from optnas.storage.urls import parse_url, shown_url, storage_path

ATTEMPTS = 20
"""Attempts to make the tables, while other processes may be making them."""
ANSWER_SECONDS = 10.0
"""Seconds that a storage proxy may take for its first answer."""

Storage = TypeVar("Storage", bound=BaseStorage)


def open_storage(
    url: str,
    *,
    create: bool = False,
    without: Sequence[str] = (),
    kept: int = 1,
    settled: str = "",
) -> BaseStorage:
    """Opens the storage behind a URL.

    `sqlite:///study.db` is a file in WAL mode; `journal:///study.journal` a file for network file
    systems (three slashes before a relative path, four before an absolute one);
    `postgresql://user:password@host/database` a server; `grpc://host:port` Optuna's storage proxy
    (see `serve`).

    Args:
        url: The URL.
        create: Whether to make the file, or the tables, if they don't exist yet, and to write.
        without: User attributes, as patterns of SQL's LIKE, that may be left out of an SQLite
            file's trials. Such a storage is only to be read.
        kept: Connections to a server that are kept between transactions. A worker needs one.
        settled: See `RowStorage`; for a storage that is written to.

    Raises:
        NoStudyError: Nothing is there, and nothing was to be made.
        InputError: The URL is wrong, or what is there is no Optuna storage.
    """
    kind, parsed = parse_url(url)
    path = storage_path(url)
    if path is not None and kind == "journal":
        return open_journal(path, create=create)
    made = path is not None and check_sqlite(path, create=create)
    shown = shown_url(url) if path is None else str(path)
    try:
        if kind == "grpc":
            return _connect_proxy(parsed)
        if path is None:
            return optuna.storages.get_storage(
                _made(
                    lambda: server_storage(parsed, shown, create=create, kept=kept, settled=settled)
                )
            )
        if create:
            return optuna.storages.get_storage(
                _made(lambda: SQLiteStorage(path, made=made, settled=settled))
            )
        return optuna.storages.get_storage(
            RowStorage(
                reading_url(path),
                {"connect_args": {"timeout": READ_TIMEOUT}},
                skip_table_creation=True,
                without=without,
            )
        )
    except ImportError as error:
        raise InputError(
            f"storage {shown} needs a package that isn't here: pip install "
            f"'optnas[{'grpc' if kind == 'grpc' else 'postgres'}]' ({error.__cause__ or error})"
        ) from error
    except _ERRORS as error:
        if isinstance(error, InputError):
            raise
        reason = first_line(error).replace("$STORAGE_URL", shown_url(url))
        room = ": make room on the disk" if "is full" in reason else ""
        raise InputError(f"storage {shown} can't be opened: {reason}{room}") from error


def close_storage(storage: BaseStorage) -> None:
    """Closes a storage's connections to a database, if it has any."""
    database = getattr(storage, "_backend", storage)  # the cache that Optuna puts before one
    if isinstance(database, RDBStorage):
        database.remove_session()
        database.engine.dispose()


def _made(make: Callable[[], Storage]) -> Storage:
    """Makes a storage with its tables, while other processes may be making the same ones.

    Optuna looks for each table before it makes it, and fails if another process makes it in
    between; once all are there, it succeeds.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return make()
        except (
            sqlalchemy.exc.IntegrityError,
            sqlalchemy.exc.OperationalError,
            sqlalchemy.exc.ProgrammingError,
            AssertionError,
        ) as error:
            text = str(error)
            if not any(t in text for t in ("already exists", "UNIQUE", "duplicate", "revision")):
                raise
            time.sleep(uniform(0.02, 0.2))
    return make()


def _connect_proxy(url: URL) -> BaseStorage:
    if not url.host or not url.port or url.database or url.username or url.query:
        raise InputError("a storage proxy is grpc://host:port")
    host = f"[{url.host}]" if ":" in url.host else url.host
    storage = GrpcStorageProxy(host=host, port=url.port)
    try:
        storage.wait_server_ready(timeout=ANSWER_SECONDS)
    except Exception as error:
        storage.close()
        raise InputError(
            f"no storage proxy answers at {url.host}:{url.port}: start one with `optnas serve`"
        ) from error
    return storage


_ERRORS = (
    optuna.exceptions.OptunaError,
    sqlalchemy.exc.SQLAlchemyError,
    sqlite3.Error,
    RuntimeError,
    ValueError,
    AssertionError,
)
