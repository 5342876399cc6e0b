"""A URL -> an Optuna storage that is set up to survive."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from random import uniform
from typing import Literal, TypeVar

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, GrpcStorageProxy, RDBStorage
from sqlalchemy.engine import URL, make_url

from optnas.errors import InputError, NoStudyError
from optnas.journal import open_journal
from optnas.sqlite import READ_TIMEOUT, SQLiteStorage, check_sqlite, explain

Kind = Literal["sqlite", "journal", "postgresql", "grpc"]
KINDS: tuple[Kind, ...] = ("sqlite", "journal", "postgresql", "grpc")
ATTEMPTS = 20
"""How often the tables are tried to be made, while others may be making them."""
ANSWER_SECONDS = 10.0
"""How long a storage proxy may take to answer at first."""

Storage = TypeVar("Storage", bound=BaseStorage)


def open_storage(url: str, *, create: bool = False) -> BaseStorage:
    """Opens the storage behind a URL.

    `sqlite:///study.db` is a file in WAL mode; `journal:///study.journal` a file for network file
    systems (three slashes before a relative path, four before an absolute one);
    `postgresql://user:password@host/database` a server; `grpc://host:port` Optuna's storage proxy
    (see `serve`).

    Args:
        url: The URL.
        create: Whether to make the file, or the tables, if they don't exist yet, and to write.

    Raises:
        NoStudyError: Nothing is there, and nothing was to be made.
        InputError: The URL is wrong, or what is there is no Optuna storage.
    """
    kind, parsed = _parse(url)
    path = storage_path(url)
    if path is not None and kind == "journal":
        return open_journal(path, create=create)
    if path is not None:
        check_sqlite(path, create=create)
        shown = str(path)
    else:
        shown = parsed.render_as_string(hide_password=True)
    try:
        if kind == "grpc":
            return _connect_proxy(parsed)
        if kind == "postgresql":
            return _connect_server(parsed, shown, create)
        if create:
            return optuna.storages.get_storage(_made(lambda: SQLiteStorage(url)))
        return optuna.storages.get_storage(
            RDBStorage(url, {"connect_args": {"timeout": READ_TIMEOUT}})
        )
    except ImportError as error:
        raise InputError(
            f"storage {shown} needs a package that isn't here: pip install "
            f"'optnas[{'grpc' if kind == 'grpc' else 'postgres'}]' ({error.__cause__ or error})"
        ) from error
    except _ERRORS as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"storage {shown} can't be opened: {_first_line(error)}") from error


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
    return Path(parsed.database)


def _parse(url: str) -> tuple[Kind, URL]:
    try:
        parsed = make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise InputError(
            f"storage {url!r} is no URL: give sqlite:///{url if url[-3:] == '.db' else 'study.db'}"
            " (three slashes before a relative path, four before an absolute one)"
        ) from error
    for kind in KINDS:
        if parsed.get_backend_name() == kind:
            return kind, parsed
    raise InputError(
        f"storage {parsed.render_as_string(hide_password=True)!r} is of a kind that optnas isn't "
        f"tested with; these are: {', '.join(KINDS)}"
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
    return optuna.storages.get_storage(_made(lambda: RDBStorage(full, {"pool_pre_ping": True})))


def _connect_proxy(url: URL) -> BaseStorage:
    if not url.host or not url.port:
        raise InputError("a storage proxy is grpc://host:port")
    storage = GrpcStorageProxy(host=url.host, port=url.port)
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
    kinds = (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError, sqlite3.Error)
    if isinstance(error, kinds) or type(error).__module__.startswith("grpc"):
        return _first_line(error)
    return None


def storage_message(error: BaseException) -> str | None:
    """What to say of an error, if it came from the storage."""
    reason = storage_fault(error)
    return reason and f"the storage failed ({reason}); what it held before is kept"


def _first_line(error: BaseException) -> str:
    return explain(str(error.__cause__ or error).strip().splitlines()[0])
