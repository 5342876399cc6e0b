"""The logs of workers: the runs of a study share a folder.

Each run removes its own empty logs, and those of runs that are gone, which were killed. A log is
locked while its worker or its run lives: the lock ends with the last process that has it open.
"""

from __future__ import annotations

import os
import re
import socket
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import TypeVar

try:
    import fcntl
except ImportError:  # Windows: nothing is locked, and logs of runs that are gone stay
    fcntl = None  # type: ignore[assignment]

Made = TypeVar("Made")
_OF_RUN = re.compile(r"(.+-[0-9a-f]{8})-(?:worker\d+|server)\.log")


def in_folder(folder: Path, make: Callable[[], Made]) -> Made:
    """Makes something in a folder, which is made first.

    Another run may find the folder empty and remove it in between: then both are made again.
    """
    while True:
        folder.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            return make()


def open_log(log: Path) -> int:
    """Opens a log for appending, and locks it for as long as the descriptor or a copy is open.

    Another run may remove it before it is locked: then it is made again.
    """
    while True:
        file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        if fcntl is None:
            return file
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_SH)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), log.stat()):
                return file
        os.close(file)


def remove_empty(folder: Path, logs: Iterable[Path]) -> None:
    """Removes logs that hold nothing, and their folder if nothing else is in it.

    Args:
        folder: The folder.
        logs: The logs of one run. Of other ones' logs, only those go whose runs are known to be
            gone.
    """
    for log in [*logs, *_of_gone_runs(folder)]:
        with suppress(OSError):
            if not log.stat().st_size:
                log.unlink()
    with suppress(OSError):
        folder.rmdir()


def _of_gone_runs(folder: Path) -> list[Path]:
    """The logs of all runs on this machine none of whose logs is locked."""
    runs: dict[str, list[Path]] = defaultdict(list)
    for log in folder.glob(f"{escape(socket.gethostname())}-*.log"):
        if found := _OF_RUN.fullmatch(log.name):
            runs[found[1]].append(log)
    return [log for run in runs.values() if not any(map(_may_be_locked, run)) for log in run]


def _may_be_locked(log: Path) -> bool:
    if fcntl is None:
        return True
    try:
        with open(log, "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
