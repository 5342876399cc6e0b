"""SQLite files as Optuna storages that many workers share, and that survive."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import sqlalchemy
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from optnas.errors import InputError, NoStudyError

TIMEOUT = 300
"""Seconds that a run waits for a lock that another program holds."""
READ_TIMEOUT = 30
"""Seconds that whoever only reads waits."""
SLOW = 5.0
"""Seconds that one statement may take before it is said that the file was locked."""

log = logging.getLogger("optnas")


def sqlite_url(path: Path) -> str:
    """The URL of an SQLite file, whatever characters its path has."""
    return sqlalchemy.URL.create("sqlite", database=str(path)).render_as_string()


class SQLiteStorage(RDBStorage):
    """Optuna's storage on a file in WAL mode; what is read and then written is read locked.

    Optuna reads a trial's state, and then writes it, without a lock in SQLite, so two workers may
    take the same queued trial. Here such a transaction begins with `BEGIN IMMEDIATE`; all others
    begin as usual, because a lock that isn't needed costs the other workers a third of their speed.
    With `synchronous=NORMAL` a crash of the machine can lose the last transactions, but never the
    file.

    Args:
        url: The URL of the file.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, {"connect_args": {"timeout": TIMEOUT}})
        # Not before: making the tables under these settings would wait for itself.
        sqlalchemy.event.listen(self.engine, "connect", _set_pragmas)
        sqlalchemy.event.listen(self.engine, "begin", _begin)
        sqlalchemy.event.listen(self.engine, "before_cursor_execute", _note_start)
        sqlalchemy.event.listen(self.engine, "after_cursor_execute", _say_if_locked)
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


_LOCK: ContextVar[bool] = ContextVar("_LOCK", default=False)
"""Whether the transactions of this thread begin with the lock."""


@contextmanager
def _locked() -> Iterator[None]:
    token = _LOCK.set(True)
    try:
        yield
    finally:
        _LOCK.reset(token)


def _begin(connection: sqlalchemy.Connection) -> None:
    if _LOCK.get():
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _set_pragmas(connection: Any, _record: object) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")


def _note_start(connection: sqlalchemy.Connection, *_: object) -> None:
    connection.info["started"] = time.monotonic()


def _say_if_locked(connection: sqlalchemy.Connection, *_: object) -> None:
    seconds = time.monotonic() - connection.info["started"]
    if seconds > SLOW:
        path = connection.engine.url.database
        log.warning("another program had %s locked; waited for %.0f s", path, seconds)


def check_sqlite(path: Path, *, create: bool) -> None:
    """Raises InputError unless the file is an SQLite database of Optuna's (or empty, to create).

    SQLite does the looking: a process that opens and closes the file itself drops the locks that
    its own connections hold on it.

    Args:
        path: The file.
        create: Whether it is to be written to, and may be new.
    """
    try:
        exists = path.exists()
    except OSError as error:
        raise InputError(f"{path} can't be a file: {error.strerror}") from error
    if not exists and not create:
        raise NoStudyError(f"there is no study at {path}: `optnas run` makes one")
    if not path.absolute().parent.is_dir():
        raise InputError(f"there is no folder {path.parent} to keep {path.name} in: make it first")
    if exists:
        _check_tables(path, create)
    writable = os.access(path if exists else path.absolute().parent, os.W_OK)
    if create and not writable:
        raise InputError(f"{path} is read-only: allow writing to it, or give another --storage")


def _check_tables(path: Path, create: bool) -> None:
    try:
        with closing(connect_read_only(path)) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = sorted(name for (name,) in rows)
    except sqlite3.Error as error:
        raise InputError(
            f"{path} can't be read as an SQLite database ({explain(str(error))}); give another "
            "--storage"
        ) from error
    if not tables and not create:
        raise NoStudyError(f"there is no study in {path} yet: `optnas run` makes one")
    if tables and not {"studies", "trials", "version_info"} <= set(tables):
        raise InputError(
            f"{path} is a database of another program (tables: {', '.join(tables[:5])}); give "
            "another --storage"
        )


def connect_read_only(path: Path) -> sqlite3.Connection:
    """A connection that can't write to the file."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=READ_TIMEOUT)


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
        with closing(connect_read_only(source)) as old, closing(sqlite3.connect(partial)) as new:
            old.backup(new)  # in one step: the copy is that of one moment
            new.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
            (found,) = new.execute("PRAGMA integrity_check").fetchone()
        if found != "ok":
            raise InputError(f"{source} is damaged ({found}): no backup was made")
        os.link(partial, target)  # fails where another backup was quicker
    except (sqlite3.Error, OSError) as error:
        raise InputError(f"can't back {source} up to {target}: {explain(str(error))}") from error
    finally:
        partial.unlink(missing_ok=True)


_MEANING = {
    "database or disk is full": "the disk is full",
    "readonly database": "it is read-only",
    "database is locked": "another program has had it locked for minutes",
    "disk image is malformed": "the file is damaged",
    "disk I/O error": "the disk fails, or is full",
}


def explain(message: str) -> str:
    """What SQLite says, in plain words where it has a habit of speaking otherwise."""
    return next((f"{meaning}: {m}" for m, meaning in _MEANING.items() if m in message), message)
