"""Where a storage keeps its data: what tells a copy from the original."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit
from weakref import WeakKeyDictionary

import sqlalchemy
from optuna.storages import BaseStorage, JournalStorage, RDBStorage

_SERVERS: WeakKeyDictionary[BaseStorage, str] = WeakKeyDictionary()
"""The places of servers, which are asked once."""
_SERVER = sqlalchemy.text(
    "SELECT system_identifier, (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "FROM pg_control_system()"
)


def place_of(storage: BaseStorage) -> str:
    """The device and number of a storage's file, or the identifiers of a server and its database.

    It stays when a file is renamed, and differs for each copy. It is empty where it isn't known: in
    memory, and behind a proxy.
    """
    if isinstance(storage, JournalStorage):
        return _of_file(getattr(storage._backend, "_file_path", ""))
    storage = getattr(storage, "_backend", storage)  # the cache that Optuna puts before a database
    if not isinstance(storage, RDBStorage):
        return ""
    url = storage.engine.url
    if url.get_backend_name() == "sqlite":
        file = url.database or ""
        return _of_file(unquote(urlsplit(file).path) if file.startswith("file:") else file)
    if storage not in _SERVERS:
        _SERVERS[storage] = _of_server(storage)
    return _SERVERS[storage]


def place_of_file(path: Path) -> str:
    """The place of a storage in this file; empty if there is none."""
    with suppress(OSError, ValueError):
        found = path.stat()
        return f"file {found.st_dev}:{found.st_ino}"
    return ""


def _of_file(path: str | os.PathLike[str]) -> str:
    return place_of_file(Path(path)) if path else ""


def _of_server(storage: RDBStorage) -> str:
    if storage.engine.url.get_backend_name() != "postgresql":
        return ""
    with suppress(sqlalchemy.exc.SQLAlchemyError), storage.engine.connect() as connection:
        server, database = connection.execute(_SERVER).one()
        return f"server {server}, database {database}"
    return ""
