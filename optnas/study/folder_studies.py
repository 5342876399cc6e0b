"""The studies of all databases in a folder, and the files that are theirs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import optuna
import sqlalchemy
from optuna.study import Study
from optuna.trial import TrialState

from optnas.errors import InputError
from optnas.storage.databases import database_kind, entries
from optnas.storage.open import close_storage, open_storage
from optnas.storage.place import place_of
from optnas.storage.urls import Location
from optnas.study.artifacts import artifact_ids
from optnas.study.folders import WEIGHTS, files_of, possible_names
from optnas.study.leases import is_alive


@dataclass(frozen=True)
class FolderStudy:
    """A study of a database in a folder.

    Attributes:
        name: Its name.
        file: Its database.
        complete: How many of its trials are COMPLETE.
        running: Whether a process runs one of them.
        owned: What the names of its files begin with; several where it hasn't decided yet.
        elsewhere: Artifacts that it lists and that aren't in its own folder of weights: the user's
            own code may keep them in a folder of another name.
    """

    name: str
    file: Path
    complete: int
    running: bool
    owned: frozenset[str]
    elsewhere: frozenset[str]


@dataclass(frozen=True)
class FolderStudies:
    """The studies of a folder.

    Attributes:
        folder: The folder, as an absolute path without links.
        studies: Those that can be read.
        faults: Why databases can't be read, a sentence each: their studies aren't known.
    """

    folder: Path
    studies: tuple[FolderStudy, ...]
    faults: tuple[str, ...]


def read_folder(folder: Path) -> FolderStudies:
    """Reads the studies of all databases in a folder.

    Raises:
        InputError: The folder can't be read.
    """
    studies: list[FolderStudy] = []
    faults: list[str] = []
    folder = folder.resolve()
    seen: set[Path] = set()
    # Listed again until nothing is new: a database may get another name meanwhile.
    while new := [path for path in entries(folder) if path not in seen]:
        for path in new:
            try:
                studies += _read_file(path, folder)
            except InputError as error:
                faults.append(str(error))
            # A damaged database gives any error. Not to know its studies must never be fatal to
            # them.
            except Exception as error:
                faults.append(f"{path} can't be read ({type(error).__name__}: {error})")
        seen.update(new)
    return FolderStudies(folder, tuple(studies), tuple(faults))


def _read_file(path: Path, folder: Path) -> list[FolderStudy]:
    kind = database_kind(path)
    if kind is None:
        return []
    return _studies(
        Location(sqlalchemy.URL.create(kind, database=str(path)).render_as_string(), folder)
    )


def _studies(location: Location) -> list[FolderStudy]:
    storage = open_storage(location.url)
    try:
        names = optuna.get_all_study_names(storage)
        return [_read(optuna.load_study(study_name=n, storage=storage), location) for n in names]
    finally:
        close_storage(storage)


def _read(study: Study, location: Location) -> FolderStudy:
    assert location.file is not None
    trials, place = study.get_trials(deepcopy=False), place_of(study._storage)
    own = files_of(study, location).path(WEIGHTS)
    return FolderStudy(
        study.study_name,
        location.file,
        complete=sum(trial.state == TrialState.COMPLETE for trial in trials),
        running=any(is_alive(trial, place) for trial in trials),
        owned=possible_names(study, location),
        elsewhere=frozenset(i for i in artifact_ids(study) if not (own / i).exists()),
    )
