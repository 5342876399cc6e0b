"""The databases of a folder, whatever their names: their first bytes tell them."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

from optnas.errors import InputError
from optnas.storage.sqlite import connect
from optnas.storage.urls import DATABASES, Kind

_SQLITE = b"SQLite format 3\0"
_LONGEST = 10_000
"""Bytes of a journal's first line at most."""


def database_kind(path: Path) -> Kind | None:
    """The kind of storage that a file is; None if it is none, or isn't there any more.

    Reading a database removes the logs next to it that a killed process has left.

    Links are followed: a study's files lie next to the link by which its database is opened.

    Raises:
        InputError: This can't be told, because the file can't be read or is damaged.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would wait for its writer
            return None
        with open(path, "rb") as file:
            line = file.readline(_LONGEST)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            return None
        what = "a link that leads nowhere" if path.is_symlink() else "not readable"
        raise InputError(f"{path} may be a database, but is {what} ({error.strerror})") from error
    if line.startswith(_SQLITE):
        return "sqlite" if _is_optunas(path) else None
    if _is_journal(line):
        return "journal"
    if path.suffix in DATABASES:  # a file of such a name that is none may be a damaged one
        what = "damaged: it isn't one of SQLite, and no journal" if line else "empty"
        raise InputError(f"{path} is named like a database, but is {what}")
    return None


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, by name; raises InputError if the folder can't be read."""
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder))
    except OSError as error:
        raise InputError(f"{folder} can't be read as a folder: {error.strerror}") from error


def _is_optunas(path: Path) -> bool:
    """Whether it isn't a database of another program, such as one of a browser."""
    try:
        with closing(connect(path)) as connection:
            found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {name for (name,) in found}
    except sqlite3.Error as error:
        raise InputError(f"{path} can't be read as an SQLite database ({error})") from error
    if not tables:
        raise InputError(f"{path} is a database without tables: it may be one that is made now")
    return bool(tables & {"studies", "alembic_version", "version_info"})


def _is_journal(line: bytes) -> bool:
    try:
        first: Any = json.loads(line)
    except ValueError:
        return False
    return isinstance(first, dict) and "op_code" in first
