"""The files and folders of a study, next to its database.

Their names begin with a name that the study keeps, so that no other study has the same ones, even
if it has the study's name, and if its database lies in the same folder or lay there before. The
first study of a name in a folder has `NAME_weights`, `NAME_front.html` and so on. Its database, if
that is `NAME.db`, or else its folder of weights, which is made with it, tells others that these
names are taken: their files have a tag, `NAME-1a2b3c4d_weights`. So have those of studies on
servers, which have no folder of their own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

from optuna.study import Study

from optnas.errors import InputError
from optnas.storage.place import place_of, place_of_file
from optnas.storage.urls import DATABASES, Location, kind_of, sqlite_url
from optnas.study.record import RECORD
from optnas.utils.whole_file import whole_file

FILES = "optnas:files"
"""On the study: what the names of its files begin with, and the place of its database then."""
CHECKPOINTS, WEIGHTS, SHARED, RETRAINED = "_checkpoints", "_weights", "_shared", "_retrained"
LOGS, FRONT, REPORT, ELSEWHERE = "_logs", "_front.html", "_report.html", "_elsewhere"
SUFFIXES = (CHECKPOINTS, WEIGHTS, SHARED, RETRAINED, LOGS, FRONT, REPORT, ELSEWHERE)
"""How the names of a study's files end."""
COPIED = (WEIGHTS, RETRAINED, SHARED, ELSEWHERE)
"""The folders that a copy of the study has, too."""
DECIDE, POLL = 1.0, 0.02
"""Seconds that another process has to decide on the files of a new study, and between two looks."""
LONGEST = 120
"""Bytes of a study's name that the names of its files have at most; a system allows 255 in all."""


@dataclass(frozen=True)
class StudyFiles:
    """The files of one study.

    Attributes:
        folder: The folder of its database, as an absolute path.
        name: What their names begin with.
    """

    folder: Path
    name: str

    def path(self, suffix: str) -> Path:
        """The file whose name ends in this way, such as `_front.html`."""
        return self.folder / f"{self.name}{suffix}"

    def any_exists(self) -> bool:
        """Whether there is one of them."""
        return any(map(Path.exists, map(self.path, SUFFIXES)))


def file_name(study_name: str) -> str:
    """A study's name as a part of a file's name; other names give other parts.

    `exp/1` becomes `exp%2F1`. So no study's files lie in another folder, whatever its name.
    """
    text = "".join(
        c if c.isprintable() and c not in "/\\%" else quote(c.encode("utf-8", "surrogatepass"), "")
        for c in study_name
    )
    if text.startswith("."):
        text = f"%2E{text[1:]}"
    if len(text.encode()) > LONGEST:
        digest = hashlib.sha256(study_name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        text = f"{text.encode()[: LONGEST - 17].decode(errors='ignore')}%{digest}"
    return text or "%"


def default_url(folder: Path, study_name: str, root: Path) -> str:
    """The storage of a study that names none: an SQLite file `NAME.db` in a folder.

    Args:
        folder: The folder.
        study_name: The name.
        root: The folder in which the path of the other one begins.
    """
    name, old = file_name(study_name), _old_name(study_name)
    # An earlier version made it; `Path.exists` raises for a name that is too long.
    if name != old and os.path.exists(root / folder / f"{old}.db"):
        name = old
    return sqlite_url(folder / f"{name}.db")


def files_of(study: Study, location: Location) -> StudyFiles:
    """The files of a study that is only read."""
    kept = _kept(study)
    if kept is not None:
        name = kept.name
    elif RECORD in study.user_attrs:
        name = _old_name(study.study_name)
    elif _is_default(study, location):
        name = file_name(study.study_name)
    else:
        name = next(_tagged(study, location))
    return StudyFiles(location.folder, name)


def possible_names(study: Study, location: Location) -> frozenset[str]:
    """What the names of a study's files may begin with; one name, if the study keeps it."""
    name = files_of(study, location).name
    if _kept(study) is not None:
        return frozenset([name])
    return frozenset([name, file_name(study.study_name), _old_name(study.study_name)])


def own_files(study: Study, location: Location) -> StudyFiles:
    """The files of a study that is going to be written to; it keeps their name from now on.

    A copy of a database file next to the original has the name of the original's files. It gets a
    name of its own here, and copies of its folders.
    """
    kept, place = _kept(study), place_of(study._storage)
    if kept is not None:
        files = StudyFiles(location.folder, kept.name)
        if place in ("", kept.place):
            return files
        is_shared = _is_beside(kept.place, location)
    else:
        files = StudyFiles(location.folder, _old_name(study.study_name))
        if RECORD not in study.user_attrs or not files.any_exists():
            return new_files(study, location)
        is_shared = _others_of_name(study, location)  # an earlier version made it
    return new_files(study, location, files) if is_shared else _keep(study, files)


def new_files(study: Study, location: Location, of: StudyFiles | None = None) -> StudyFiles:
    """The files of a study that was made just now, or is a copy.

    Args:
        study: The study.
        location: Its storage.
        of: The files of the original, whose folders are copied.
    """
    files = StudyFiles(location.folder, file_name(study.study_name))
    taken = location.file is None or files.any_exists() or _others_of_name(study, location)
    if taken or not (_is_default(study, location) or _is_made(files.path(WEIGHTS))):
        names = (StudyFiles(location.folder, name) for name in _tagged(study, location))
        files = next(found for found in names if not found.any_exists())
    if of is not None:
        list(copy_folders(of, files))
    return _keep(study, files)


def await_files(study: Study) -> None:
    """Waits for the process that has made a study just now to decide on its files."""
    deadline = time.monotonic() + DECIDE
    while FILES not in study.user_attrs and RECORD not in study.user_attrs:
        if time.monotonic() > deadline:  # it was killed, or it knows nothing of files
            return
        time.sleep(POLL)


def _keep(study: Study, files: StudyFiles) -> StudyFiles:
    study.set_user_attr(FILES, {"name": files.name, "place": place_of(study._storage)})
    return files


def copy_folders(old: StudyFiles, new: StudyFiles) -> Iterator[Path]:
    """Copies the folders of a study for a copy of it.

    Yields:
        Each folder that was written.

    Raises:
        InputError: One can't be written.
    """
    for suffix in COPIED:
        source, target = old.path(suffix), new.path(suffix)
        if source != target and source.is_dir() and any(source.iterdir()):
            unfinished = shutil.ignore_patterns(".*", "*.part")  # these may be gone in a moment
            try:
                shutil.copytree(
                    source, target, dirs_exist_ok=True, ignore=unfinished, copy_function=_copy_whole
                )
            except OSError as error:
                raise InputError(
                    f"the study is copied, but not all of the weights in {source}: {error}"
                ) from error
            yield target


def _copy_whole(old: str, new: str) -> None:
    with whole_file(Path(new)) as part:
        shutil.copyfile(old, part)


@dataclass(frozen=True)
class _Kept:
    """What a study keeps of its files: what their names begin with, and its database's place."""

    name: str
    place: str


def _kept(study: Study) -> _Kept | None:
    found: Any = study.user_attrs.get(FILES)
    if not isinstance(found, dict):
        return None
    name, place = found.get("name"), found.get("place")
    if not isinstance(name, str) or not isinstance(place, str) or name != _old_name(name):
        return None
    return _Kept(name, place)


def _old_name(study_name: str) -> str:
    """What earlier versions named files after: the name itself, where it can be one."""
    name = study_name
    return name if name.isprintable() and Path(f"{name}_").name == f"{name}_" else file_name(name)


def _is_default(study: Study, location: Location) -> bool:
    """Whether the study's database is named after it."""
    return location.file is not None and location.file.stem == file_name(study.study_name)


def _others_of_name(study: Study, location: Location) -> bool:
    """Whether another database in the folder is named after the study."""
    paths = (location.folder / f"{file_name(study.study_name)}{end}" for end in DATABASES)
    own = place_of(study._storage)
    return any(path != location.file and place_of_file(path) not in ("", own) for path in paths)


def _is_beside(place: str, location: Location) -> bool:
    """Whether the database of a place lies in the folder."""
    ends = {*DATABASES, location.file.suffix if location.file else ""}
    paths = (path for path in location.folder.iterdir() if path.suffix in ends)
    return bool(place) and any(place_of_file(path) == place for path in paths)


def _is_made(folder: Path) -> bool:
    """Makes a folder; False if another process was quicker, or it can't be made."""
    try:
        folder.mkdir()
    except OSError:
        return False
    return True


def _tagged(study: Study, location: Location) -> Iterator[str]:
    """Names with a tag: the same ones in all processes that open the same storage."""
    is_proxy = bool(location.url) and kind_of(location.url) == "grpc"
    where = place_of(study._storage) or (location.url if is_proxy else uuid.uuid4().hex)
    for attempt in count():
        decides = f"{where}/{study._study_id}/{study.study_name}/{attempt}"
        tag = hashlib.sha256(decides.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        yield f"{file_name(study.study_name)}-{tag}"
