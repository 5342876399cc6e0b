"""Journal files as Optuna storages: for file systems of networks, where SQLite isn't safe."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock

from optnas.errors import InputError, NoStudyError


class _Lock(BaseJournalFileLock):
    """A lock that its holder can't take into the grave, unlike Optuna's own, which are files.

    Whoever takes it first cuts off the line that a killed writer may have left half written:
    the next line would be glued to it, and the journal be unreadable from there on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock(f"{path}.lock", thread_local=False)

    def acquire(self) -> bool:
        self._lock.acquire()
        try:
            self._cut_off_torn_line()
        except BaseException:
            self._lock.release()
            raise
        return True

    def release(self) -> None:
        self._lock.release()

    def _cut_off_torn_line(self) -> None:
        with open(self._path, "r+b") as file:
            size = end = file.seek(0, os.SEEK_END)
            while end:
                start = max(end - 4096, 0)
                file.seek(start)
                newline = file.read(end - start).rfind(b"\n")
                if newline >= 0:
                    end = start + newline + 1
                    break
                end = start
            if end < size:
                file.truncate(end)


def open_journal(path: Path, *, create: bool) -> JournalStorage:
    """Opens a journal file.

    Args:
        path: The file.
        create: Whether to make it if it doesn't exist, and to write to it.

    Raises:
        InputError: It can't be read or written, or isn't a journal of Optuna's.
    """
    try:
        exists = path.exists() and path.stat().st_size > 0
        if not exists and not create:
            raise NoStudyError(f"there is no study at {path}: `optnas run` makes one")
        if not path.absolute().parent.is_dir():
            raise InputError(
                f"there is no folder {path.parent} to keep {path.name} in: make it first"
            )
        if create and not os.access(path if exists else path.absolute().parent, os.W_OK):
            raise InputError(f"{path} is read-only: allow writing to it, or give another --storage")
        if exists:
            _check(path)
        return JournalStorage(JournalFileBackend(str(path), _Lock(path)))
    except OSError as error:
        raise InputError(f"{path} can't be opened as a journal: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged, or no journal of Optuna's: {error}") from error


def _check(path: Path) -> None:
    """Raises InputError unless the first line is one of a journal."""
    with open(path, "rb") as file:
        line = file.readline(10_000)
    try:
        first: Any = json.loads(line)
    except ValueError:
        first = None
    if not isinstance(first, dict) or "op_code" not in first:
        raise InputError(f"{path} is no journal of Optuna's; give another --storage")
