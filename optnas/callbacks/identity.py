"""Under which name trackers know a study, and how the processes of a machine take turns."""

from __future__ import annotations

import getpass
import hashlib
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.study import Study

from optnas.storage.place import place_of
from optnas.study.attributes import TRACKED

TURN = 60.0
"""Seconds after which a process doesn't wait for its turn any longer."""


def tracked_id(study: Study) -> str:
    """The name of a study in trackers, which it keeps.

    Two studies of one name have different ones, and so has a copy of a study, whose next trials
    aren't those of the original.
    """
    place = place_of(study._storage)
    found = _kept(study, place)
    if not found:
        with turn(f"{place}/{study.study_name}"):
            found = _kept(study, place)
            if not found:
                found = uuid.uuid4().hex[:12]
                study.set_user_attr(TRACKED, {"id": found, "place": place})
                found = _kept(study, place) or found
    return found


def _kept(study: Study, place: str) -> str:
    kept: Any = study.user_attrs.get(TRACKED)
    if not isinstance(kept, dict) or not isinstance(kept.get("id"), str):
        return ""
    same = not place or kept.get("place") in ("", place)
    return kept["id"] if same and kept["id"].isalnum() else ""


@contextmanager
def turn(what: str) -> Iterator[None]:
    """Lets one process of this user on this machine at a time run its block."""
    digest = hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    path = Path(tempfile.gettempdir(), f"optnas-tracker-{_user()}-{digest}.lock")
    with FileLock(path, timeout=TURN):
        yield


def _user() -> str:
    try:
        return hashlib.sha256(getpass.getuser().encode()).hexdigest()[:8]
    except (OSError, KeyError):  # no name for the user's number
        return "user"
