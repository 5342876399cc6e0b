"""Files that machines with nothing but a PostgreSQL server in common share through it.

They lie in a table of their own, in pieces, which Optuna neither reads nor changes. A lock of the
server says which process makes a file; the server releases it when that process is gone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from optnas.utils.whole_file import whole_file

PIECE = 2**22
"""Bytes of a piece."""
_TABLE = text(
    "CREATE TABLE IF NOT EXISTS optnas_files (study_id INTEGER NOT NULL REFERENCES studies "
    "(study_id) ON DELETE CASCADE, name VARCHAR(512) NOT NULL, piece INTEGER NOT NULL, "
    "data BYTEA NOT NULL, PRIMARY KEY (study_id, name, piece))"
)
_OF_FILE = "FROM optnas_files WHERE study_id = :study AND name = :name"
_NUMBER = text(f"SELECT count(*) {_OF_FILE}")
_READ = text(f"SELECT data {_OF_FILE} AND piece = :piece")
_ADD = text("INSERT INTO optnas_files VALUES (:study, :name, :piece, :data)")
_TRY = text("SELECT pg_try_advisory_lock(:key)")
_RELEASE = text("SELECT pg_advisory_unlock(:key)")
_ALONE = text("SELECT pg_advisory_xact_lock(:key)")


class SharedFiles:
    """The files of one study on a server; `shared_files` gives them.

    Args:
        engine: Of the server's database.
        study_id: The study.
    """

    def __init__(self, engine: sqlalchemy.Engine, study_id: int) -> None:
        self._engine = engine
        self._study_id = study_id
        self._has_table = False

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        self._make_table()
        with self._engine.connect() as connection:
            return bool(connection.execute(_NUMBER, self._names(name)).scalar())

    def fetch(self, name: str, path: Path) -> bool:
        """Writes a file to a path, where it appears whole; False if there is none.

        Raises:
            OSError: It can't be written.
        """
        self._make_table()
        with self._engine.connect() as connection:
            pieces = connection.execute(_NUMBER, self._names(name)).scalar() or 0
            if not pieces:
                return False
            with whole_file(path) as part, open(part, "wb") as file:
                for piece in range(pieces):
                    known = self._names(name) | {"piece": piece}
                    file.write(connection.execute(_READ, known).scalar_one())
        return True

    def put(self, name: str, path: Path) -> bool:
        """Adds a file, which others see when it is whole; False if there is one already.

        Raises:
            OSError: It can't be read.
        """
        self._make_table()
        with self._engine.begin() as connection, open(path, "rb") as file:
            connection.execute(_ALONE, {"key": _key(f"put {self._study_id} {name}")})
            if connection.execute(_NUMBER, self._names(name)).scalar():
                return False
            for piece, data in enumerate(iter(lambda: file.read(PIECE), b"")):
                connection.execute(_ADD, self._names(name) | {"piece": piece, "data": data})
        return True

    @contextmanager
    def turn(self, name: str) -> Iterator[bool]:
        """Whether this process is the one that makes a file, for as long as the block lasts.

        It takes a connection of its own, with which the lock is gone.
        """
        key = {"key": _key(f"make {self._study_id} {name}")}
        with self._engine.connect() as found:
            connection = found.execution_options(isolation_level="AUTOCOMMIT")
            own = bool(connection.execute(_TRY, key).scalar())
            try:
                yield own
            finally:
                if own:
                    with suppress(SQLAlchemyError):  # the connection is gone, and the lock too
                        connection.execute(_RELEASE, key)

    def _make_table(self) -> None:
        if not self._has_table:
            with self._engine.begin() as connection:  # two that make it at once would fail
                connection.execute(_ALONE, {"key": _key("table")})
                connection.execute(_TABLE)
            self._has_table = True

    def _names(self, name: str) -> dict[str, Any]:
        return {"study": self._study_id, "name": name}


def shared_files(storage: BaseStorage, study_id: int) -> SharedFiles | None:
    """The files of a study on a PostgreSQL server; None for other storages.

    Behind a proxy there is no table of ours; next to a file, a folder is shared by itself.
    """
    backend = getattr(storage, "_backend", storage)  # the cache that Optuna puts before a database
    if isinstance(backend, RDBStorage) and backend.engine.dialect.name == "postgresql":
        return SharedFiles(backend.engine, study_id)
    return None


def _key(what: str) -> int:
    """A number for a lock, which are known by 64-bit numbers."""
    digest = hashlib.sha256(f"optnas {what}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
