"""A URL -> an Optuna storage that is set up to survive."""

from __future__ import annotations

import logging
import re
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from random import uniform
from typing import Any, Literal, TypeVar

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, GrpcStorageProxy
from optuna.storages._cached_storage import _CachedStorage
from sqlalchemy.engine import URL, make_url

from optnas.bulk import BulkStorage
from optnas.errors import InputError, NoStudyError, StorageGoneError
from optnas.journal import open_journal
from optnas.sqlite import (
    READ_TIMEOUT,
    SQLiteStorage,
    check_sqlite,
    explain,
    reading_url,
)
from optnas.trials import CURVE, DETAIL

Kind = Literal["sqlite", "journal", "postgresql", "grpc"]
KINDS: tuple[Kind, ...] = ("sqlite", "journal", "postgresql", "grpc")
ATTEMPTS = 20
"""How often the tables are tried to be made, while others may be making them."""
ANSWER_SECONDS = 10.0
"""How long a storage proxy may take to answer at first."""
RESTART_SECONDS = 60.0
"""How long a run waits for a database server that has gone away."""
POLL = 0.5
"""Seconds between two tries."""

log = logging.getLogger("optnas")
Storage = TypeVar("Storage", bound=BaseStorage)


def open_storage(url: str, *, create: bool = False, brief: bool = False) -> BaseStorage:
    """Opens the storage behind a URL.

    `sqlite:///study.db` is a file in WAL mode; `journal:///study.journal` a file for network file
    systems (three slashes before a relative path, four before an absolute one);
    `postgresql://user:password@host/database` a server; `grpc://host:port` Optuna's storage proxy
    (see `serve`).

    Args:
        url: The URL.
        create: Whether to make the file, or the tables, if they don't exist yet, and to write.
        brief: Whether learning curves and details of measurements, which are most of what is
            stored, may be left out of an SQLite file's trials. Such a storage is only to be read.

    Raises:
        NoStudyError: Nothing is there, and nothing was to be made.
        InputError: The URL is wrong, or what is there is no Optuna storage.
    """
    kind, parsed = _parse(url)
    path = storage_path(url)
    if path is not None and kind == "journal":
        return open_journal(path, create=create)
    made = path is not None and check_sqlite(path, create=create)
    shown = shown_url(url) if path is None else str(path)
    try:
        if kind == "grpc":
            return _connect_proxy(parsed)
        if path is None:
            return _connect_server(parsed, shown, create)
        if create:
            return optuna.storages.get_storage(_made(lambda: SQLiteStorage(path, made=made)))
        return optuna.storages.get_storage(
            BulkStorage(
                reading_url(path),
                {"connect_args": {"timeout": READ_TIMEOUT}},
                skip_table_creation=True,
                without=(CURVE, f"{DETAIL}%") if brief else (),
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
        reason = _first_line(error).replace("$STORAGE_URL", shown_url(url))
        raise InputError(f"storage {shown} can't be opened: {reason}") from error


def close_storage(storage: BaseStorage) -> None:
    """Closes the connections of a storage, where it has some to a database."""
    if isinstance(storage, _CachedStorage):
        storage.remove_session()
        storage._backend.engine.dispose()


def kind_of(url: str) -> Kind:
    """Which kind of storage a URL names.

    Raises:
        InputError: It is no URL, or names none that optnas works with.
    """
    return _parse(url)[0]


def storage_path(url: str) -> Path | None:
    """The file behind a URL, of SQLite or a journal; None for a server's.

    Raises:
        InputError: It is no URL, or names no file.
    """
    kind, parsed = _parse(url)
    if kind not in ("sqlite", "journal"):
        return None
    if not parsed.database or parsed.database == ":memory:" or "\0" in parsed.database:
        raise InputError(
            f"storage {url!r} names no file: give {kind}:///study.db, with three slashes before a "
            "relative path"
        )
    if parsed.host or parsed.query:
        raise InputError(
            f"storage {shown_url(url)!r} has more in it than a file: give "
            f"{kind}:///{parsed.database}, without a host or settings"
        )
    return Path(parsed.database)


def shown_url(url: str) -> str:
    """A URL as it may be shown: without a password."""
    try:
        return make_url(url).set(query={}).render_as_string(hide_password=True)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        return re.sub("//.*@", "//***@", url, flags=re.DOTALL)


def _parse(url: str) -> tuple[Kind, URL]:
    shown = shown_url(url)
    try:
        parsed = make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        file = url if url.endswith(".db") else "study.db"
        raise InputError(
            f"storage {shown!r} is no URL: give sqlite:///{file}"
            " (three slashes before a relative path, four before an absolute one)"
        ) from error
    for kind in KINDS:
        if parsed.get_backend_name() == kind:
            return kind, parsed
    raise InputError(
        f"storage {shown!r} is of a kind that optnas isn't tested with; these are: "
        f"{', '.join(KINDS)}"
    )


def _made(make: Callable[[], Storage]) -> Storage:
    """A storage whose tables are made; several processes may begin to make them at once.

    Optuna looks for each table before it makes it, and fails if another process makes it between
    the two; once all are there, it succeeds.
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


def _connect_server(url: URL, shown: str, create: bool) -> BaseStorage:
    if url.drivername == "postgresql":  # the driver of the extra `postgres`
        url = url.set(drivername="postgresql+psycopg")
    full = url.render_as_string(hide_password=False)
    if not create:
        engine = sqlalchemy.create_engine(full)
        try:
            if not sqlalchemy.inspect(engine).has_table("studies"):
                raise NoStudyError(f"there is no study in {shown} yet: `optnas run` makes one")
        finally:
            engine.dispose()
    # A connection that a restarted server has closed is made anew.
    storage = _made(lambda: BulkStorage(full, {"pool_pre_ping": True}))
    sqlalchemy.event.listen(storage.engine, "do_connect", _connect_patiently)
    return optuna.storages.get_storage(storage)


def _connect_patiently(dialect: Any, _record: object, args: Any, settings: Any) -> Any:
    """Waits for a server that has answered before: it may be restarting."""
    deadline, said = time.monotonic() + RESTART_SECONDS, False
    while True:
        try:
            return dialect.connect(*args, **settings)
        except dialect.loaded_dbapi.OperationalError as error:
            if time.monotonic() > deadline:
                raise
            if not said:
                log.warning("the database is away; waiting for it (%s)", _first_line(error))
                said = True
            time.sleep(POLL)


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


def storage_fault(error: BaseException) -> str | None:
    """What the storage said, if the error came from there (a full disk, a damaged file, …)."""
    kinds = (
        optuna.exceptions.StorageInternalError,
        sqlalchemy.exc.SQLAlchemyError,
        sqlite3.Error,
        StorageGoneError,
    )
    if isinstance(error, kinds) or type(error).__module__.startswith("grpc"):
        return _first_line(error)
    return None


def storage_message(error: BaseException) -> str | None:
    """What to say of an error, if it came from the storage."""
    reason = storage_fault(error)
    if reason is None or isinstance(error, StorageGoneError):
        return reason
    return f"the storage failed ({reason}); what it holds is kept: run it again to go on"


def _first_line(error: BaseException) -> str:
    while error.__cause__ is not None:  # the database's own words
        error = error.__cause__
    details = getattr(error, "details", None)  # gRPC's errors, whose first line says nothing
    found = details() if callable(details) else str(error)
    return explain((found or type(error).__name__).strip().splitlines()[0])
