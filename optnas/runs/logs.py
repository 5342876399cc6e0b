"""The logs of workers: the runs of a study share a folder, and each removes its own empty logs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

Made = TypeVar("Made")


def in_folder(folder: Path, make: Callable[[], Made]) -> Made:
    """Makes something in a folder, which is made first.

    Another run may find the folder empty and remove it in between: then both are made again.
    """
    while True:
        folder.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            return make()


def remove_empty(folder: Path, logs: Iterable[Path]) -> None:
    """Removes logs that hold nothing, and their folder if nothing else is in it.

    Args:
        folder: The folder.
        logs: The logs of one run: workers of another one may still write to theirs.
    """
    for log in logs:
        with suppress(OSError):
            if not log.stat().st_size:
                log.unlink()
    with suppress(OSError):
        folder.rmdir()
