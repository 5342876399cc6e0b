"""Journal files as Optuna storages: for network file systems, where SQLite isn't safe."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from optuna.exceptions import StorageInternalError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from optnas.errors import InputError, NoStudyError, StorageGoneError
from optnas.storage.file_access import check_writable, exists_in_place, remedy
from optnas.storage.sqlite import SLOW, TIMEOUT

log = logging.getLogger("optnas")


class _Lock:
    """A lock that ends with its process; Optuna's own ones are files, which a kill leaves behind.

    Taking it cuts off a line that a killed writer has left half written: the next line would be
    glued to it, and the journal be unreadable from there on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        self._lock = FileLock(f"{path}.lock", thread_local=False)

    def acquire(self) -> bool:
        self._wait()
        try:
            self._cut_off_torn_line()
        except BaseException:
            self._lock.release()
            raise
        return True

    def release(self) -> None:
        self._lock.release()

    def _wait(self) -> None:
        """Takes the lock. Another process holds it for milliseconds, unless it was stopped."""
        try:
            self._lock.acquire(timeout=SLOW)
            return
        except Timeout:
            log.warning("another program has %s locked; waiting for it", self._shown)
        try:
            self._lock.acquire(timeout=TIMEOUT - SLOW)
        except Timeout:
            raise StorageInternalError(
                f"another program has {self._shown} locked; is one stopped, with Ctrl-Z perhaps?"
            ) from None

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


class _Backend(JournalFileBackend):
    """Optuna's, whose errors are the storage's."""

    def __init__(self, path: Path) -> None:
        lock: Any = _Lock(path)  # Optuna's own class of locks is private
        super().__init__(str(path), lock)
        self._path = path

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        with _as_storage_errors(self._path):
            yield from super().read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        with _as_storage_errors(self._path):
            super().append_logs(logs)


@contextmanager
def _as_storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise StorageGoneError(path) from None
    except OSError as error:
        raise StorageInternalError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise StorageInternalError(f"{path} is damaged: a line of it is no JSON") from None


def open_journal(path: Path, *, create: bool) -> JournalStorage:
    """Opens a journal file.

    Args:
        path: The file.
        create: Whether to make it if it doesn't exist, and to write to it.

    Raises:
        InputError: It can't be read or written, or isn't a journal of Optuna's.
    """
    try:
        if exists_in_place(path, create=create):
            _check(path, create)
        if create:
            check_writable(path)
        return JournalStorage(_Backend(path.absolute()))
    except OSError as error:
        raise InputError(f"{path} can't be opened as a journal: {error.strerror}") from error
    except InputError:
        raise
    except StorageInternalError as error:
        raise InputError(f"{error}; {remedy(path)}") from error
    except Exception as error:  # Optuna raises anything where a line isn't one of its own
        raise InputError(
            f"{path} is damaged, or no journal of Optuna's ({type(error).__name__}: {error}); "
            f"{remedy(path)}"
        ) from error


def _check(path: Path, create: bool) -> None:
    """Raises InputError unless the first line is one of a journal, or there is none to create."""
    with open(path, "rb") as file:
        line = file.readline(10_000)
    if not line and create:
        return
    if not line:
        raise NoStudyError(f"there is no study in {path} yet: `optnas run` makes one")
    try:
        first: Any = json.loads(line)
    except ValueError:
        first = None
    if not isinstance(first, dict) or "op_code" not in first:
        raise InputError(f"{path} is no journal of Optuna's; give another `storage=`")
