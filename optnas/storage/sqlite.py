"""SQLite files as Optuna storages that many workers share, and that survive kills."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from optnas.errors import InputError, NoStudyError, StorageGoneError
from optnas.storage.file_access import check_writable, exists_in_place, remedy
from optnas.storage.row_storage import RowStorage
from optnas.storage.urls import sqlite_url

TIMEOUT = 300.0
"""Seconds that a run waits for a lock that another program holds."""
READ_TIMEOUT = 30.0
"""Seconds that a command which only reads waits."""
SLOW = 5.0
"""Seconds after which a warning reports that the file is locked."""
OPTUNA_TABLES = {
    "alembic_version",
    "studies",
    "study_directions",
    "study_system_attributes",
    "study_user_attributes",
    "trial_heartbeats",
    "trial_intermediate_values",
    "trial_params",
    "trial_system_attributes",
    "trial_user_attributes",
    "trial_values",
    "trials",
    "version_info",
}
"""The tables of Optuna 5.0; another version is asked for its own where these don't fit."""

log = logging.getLogger("optnas")
T = TypeVar("T")


class SQLiteStorage(RowStorage):
    """Optuna's storage on a file in WAL mode, which locks the file before it reads to write.

    Optuna reads a trial's state, and then writes it, without a lock in SQLite, so two workers may
    take the same queued trial. Here such a transaction begins with `BEGIN IMMEDIATE`; all others
    begin as usual, because a lock that isn't needed costs the other workers a third of their speed.
    With `synchronous=NORMAL` a crash of the machine can lose the last transactions, but never the
    file. Once the file is deleted or replaced, no transaction begins: SQLite would write on into a
    file that no folder holds.

    Args:
        path: The file.
        made: Whether it has all tables (`check_sqlite`).
        settled: See `RowStorage`.
    """

    def __init__(self, path: Path, *, made: bool, settled: str = "") -> None:
        settings = {"connect_args": {"timeout": TIMEOUT}}
        self._path = path.absolute()  # a connection is made when it is needed
        url = sqlite_url(self._path)
        super().__init__(url, settings, skip_table_creation=made, settled=settled)
        self._file = self._found()
        # Not before: making the tables under these settings would wait for itself.
        for name, listener in (
            ("do_connect", self._check),
            ("connect", self._set_pragmas),
            ("begin", self._begin),
            ("do_execute", self._execute),
            ("do_executemany", self._execute_many),
        ):
            sqlalchemy.event.listen(self.engine, name, listener)
        self.engine.dispose()  # connections that were made before don't have the settings

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """As Optuna's, under the lock."""
        with _locked():
            return super().create_new_study(directions, study_name)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """As Optuna's, under the lock."""
        with _locked():
            super().set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """As Optuna's, under the lock."""
        with _locked():
            super().set_study_system_attr(study_id, key, value)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """As Optuna's, under the lock."""
        with _locked():
            return super().set_trial_state_values(trial_id, state, values)

    def _found(self) -> tuple[int, int] | None:
        with suppress(OSError):
            found = self._path.stat()
            return found.st_dev, found.st_ino
        return None

    def _check(self, *_: object) -> None:
        if self._found() != self._file:
            raise StorageGoneError(self._path)

    def _begin(self, connection: sqlalchemy.Connection) -> None:
        self._check()
        if _LOCK.get():
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    def _set_pragmas(self, connection: Any, _record: object) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute(f"PRAGMA busy_timeout={round(1000 * SLOW)}")
            _patiently(lambda: cursor.execute("PRAGMA journal_mode=WAL"), self._path, TIMEOUT)
            cursor.execute("PRAGMA synchronous=NORMAL")

    def _execute(self, cursor: Any, statement: str, parameters: Any, _context: object) -> bool:
        _patiently(lambda: cursor.execute(statement, parameters), self._path, TIMEOUT)
        return True

    def _execute_many(self, cursor: Any, statement: str, parameters: Any, _context: object) -> bool:
        _patiently(lambda: cursor.executemany(statement, parameters), self._path, TIMEOUT)
        return True


_LOCK: ContextVar[bool] = ContextVar("_LOCK", default=False)
"""Whether the transactions of this thread begin with the lock."""


@contextmanager
def _locked() -> Iterator[None]:
    token = _LOCK.set(True)
    try:
        yield
    finally:
        _LOCK.reset(token)


def _patiently(call: Callable[[], T], path: Path, seconds: float) -> T:
    """Waits for a lock, a few seconds at a time, so that Ctrl-C works; a warning reports it."""
    deadline, warned = time.monotonic() + seconds, False
    while True:
        try:
            return call()
        except sqlite3.OperationalError as error:
            locked = error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY)
            if not locked or time.monotonic() > deadline:
                raise
            if not warned:
                log.warning("another program has %s locked; waiting for it", path)
                warned = True


def check_sqlite(path: Path, *, create: bool) -> bool:
    """Raises InputError unless the file is an SQLite database of Optuna's (or empty, to create).

    It is looked at through SQLite: a process that opens and closes the file itself drops the locks
    that its own connections hold on it.

    Args:
        path: The file.
        create: Whether it is to be written to, and may be new.

    Returns:
        Whether all tables are there, of whichever version.
    """
    made = exists_in_place(path, create=create) and _has_tables(path, create)
    if create:
        check_writable(path)
    return made


def _has_tables(path: Path, create: bool) -> bool:
    try:
        with closing(connect(path)) as connection:
            tables = _patiently(
                lambda: _names(connection, "sqlite_master WHERE type = 'table'", "name"),
                path,
                TIMEOUT if create else READ_TIMEOUT,
            )
            versions = "alembic_version" in tables and _names(
                connection, "alembic_version", "version_num"
            )
    except sqlite3.Error as error:
        raise InputError(
            f"{path} can't be read as an SQLite database ({explain(str(error))}); {remedy(path)}"
        ) from error
    if not (OPTUNA_TABLES.issuperset(tables) or _tables_of_optuna().issuperset(tables)):
        raise InputError(
            f"{path} is a database of another program (tables: {', '.join(tables[:5])}); give "
            "another `storage=`"
        )
    if not versions and not create:  # the version is written last: the making was interrupted
        raise NoStudyError(f"there is no study in {path} yet: `optnas run` makes one")
    return bool(versions)


def _tables_of_optuna() -> set[str]:
    """The tables that the installed version of Optuna makes."""
    storage = RDBStorage("sqlite:///:memory:")
    try:
        return set(sqlalchemy.inspect(storage.engine).get_table_names())
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _names(connection: sqlite3.Connection, table: str, column: str) -> list[str]:
    return sorted(name for (name,) in connection.execute(f"SELECT {column} FROM {table}"))


def connect(path: Path) -> sqlite3.Connection:
    """A connection that writes nothing to a file."""
    connection = sqlite3.connect(_uri(path), uri=True, timeout=SLOW)
    connection.execute("PRAGMA query_only=1")
    return connection


def reading_url(path: Path) -> str:
    """The URL to read a file by; opening it makes no new file where there is none."""
    uri, _, option = _uri(path).partition("?")
    query = {"uri": "true"} | dict([option.split("=")])
    return sqlalchemy.URL.create("sqlite", database=uri, query=query).render_as_string()


def _uri(path: Path) -> str:
    """The name that SQLite opens.

    In a folder that can't be written to, SQLite can't make the files that it keeps next to one in
    WAL mode. If they aren't there, no process is writing, and it can be read without them.
    """
    path = path.absolute()
    has_log = any(path.with_name(path.name + end).exists() for end in ("-wal", "-journal"))
    unchanging = not has_log and not os.access(path.parent, os.W_OK)
    return f"{path.as_uri()}?{'immutable=1' if unchanging else 'mode=rw'}"


def backup(source: Path, target: Path) -> None:
    """Copies a database while others write to it: SQLite's online backup, checked afterwards.

    Args:
        source: The database.
        target: A file that doesn't exist yet; it appears when it is whole.

    Raises:
        InputError: It exists, or can't be written.
    """
    if os.path.lexists(target):
        raise InputError(f"{target} exists already: give another name")
    if not target.absolute().parent.is_dir():
        raise InputError(f"there is no folder {target.parent}: make it first")
    check_sqlite(source, create=False)
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with closing(connect(source)) as old, closing(sqlite3.connect(partial)) as new:
            old.backup(new)  # in one step: the copy is that of one moment
            new.execute("PRAGMA journal_mode=DELETE")  # one file, without a log
            (found,) = new.execute("PRAGMA integrity_check").fetchone()
        if found != "ok":
            raise InputError(f"{source} is damaged ({found}): no backup was made")
        os.link(partial, target)  # fails if another backup has made it meanwhile
    except (sqlite3.Error, OSError) as error:
        raise InputError(f"can't back {source} up to {target}: {explain(str(error))}") from error
    finally:
        with suppress(OSError):  # of a folder that can't be written to
            partial.unlink(missing_ok=True)


_MEANING = {
    "database or disk is full": "the disk is full",
    "readonly database": "it is read-only",
    "database is locked": "another program has it locked",
    "disk image is malformed": "the file is damaged",
    "disk I/O error": "the disk fails, or is full",
    "unable to open": "it, or its folder, may not be read and written as SQLite needs",
}


def explain(message: str) -> str:
    """A message of SQLite's, with its meaning in plain words where it needs them."""
    return next((f"{meaning}: {m}" for m, meaning in _MEANING.items() if m in message), message)
