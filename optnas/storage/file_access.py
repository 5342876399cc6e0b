"""Whether the file of a storage is there, and may be made and written."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from optnas.errors import InputError, NoStudyError

LITTLE = 1 << 20
"""A disk with less room than these bytes counts as full: SQLite's log alone needs some."""


def exists_in_place(path: Path, *, create: bool) -> bool:
    """Whether the file of a storage is there.

    Args:
        path: The file.
        create: Whether it may be made.

    Raises:
        NoStudyError: It isn't there, and may not be made.
        InputError: No file can lie at this path.
    """
    try:
        exists = path.exists()
    except OSError as error:
        raise InputError(f"{path} can't be a file: {error.strerror}") from error
    if not exists and not create:
        raise NoStudyError(f"there is no study at {path}: `optnas run` makes one")
    if not path.absolute().parent.is_dir():
        raise InputError(f"there is no folder {path.parent} to keep {path.name} in: make it first")
    if path.is_dir():
        raise InputError(f"{path} is a folder: give a file as `storage=`")
    return exists


def check_writable(path: Path) -> None:
    """Raises InputError unless the file, if there is one, and its folder can be written to.

    SQLite keeps its log, and a journal its lock, next to the file.
    """
    folder = path.absolute().parent
    for what in (path, folder) if path.exists() else (folder,):
        if not os.access(what, os.W_OK):
            raise InputError(
                f"{what} is read-only: allow writing to it, or give another `storage=`"
            )


def remedy(path: Path) -> str:
    """What to do about a storage's file that can't be read or written."""
    with suppress(OSError):
        if shutil.disk_usage(path.absolute().parent).free < LITTLE:
            return "the disk is full: make room on it"
    return "mend it, or give another `storage=`"
