"""Whole copies of a study: to another storage, or as a backup.

Optuna's `copy_study` doesn't serve. Its dashboard lists artifacts and notes in study attributes
whose names hold ids of trials, and the trials of a copy have other ids. `copy_study` keeps the old
names, and an attribute can't be deleted afterwards: a trial could show another one's artifacts. Nor
does it remove what it has written if it fails in the middle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.study import Study

from optnas.errors import InputError
from optnas.storage.open import close_storage, open_storage
from optnas.storage.row_storage import RowStorage
from optnas.storage.sqlite import backup
from optnas.storage.urls import Location, kind_of, shown_url
from optnas.study.artifacts import PREFIX
from optnas.study.folders import ELSEWHERE, FILES, copy_folders, files_of, new_files
from optnas.study.leases import end_leases
from optnas.study.load import find_study, load_study
from optnas.study.record import RECORD
from optnas.utils.text import plural

_OF_TRIAL = re.compile(rf"({PREFIX}|dashboard:)(\d+)(:.*)")


def backup_study(study: Study, location: Location, target: Location) -> Iterator[str]:
    """Copies the SQLite database of a study while workers write, and the folders of its studies.

    Args:
        study: The study, or any one of those in the database: all of them are copied.
        location: Its storage.
        target: The SQLite file to write.

    Yields:
        A line for each thing that was written.

    Raises:
        InputError: It is another kind of storage, the file exists, or it can't be written.
    """
    source = location.file
    if kind_of(location.url) != "sqlite" or source is None:
        raise InputError(
            f"backup copies SQLite files, and this is {kind_of(location.url)}: copy it with "
            "`optnas storage copy`, or with the database's own tools"
        )
    assert target.file is not None
    backup(source, target.file)
    yield f"database: {target.shown(target.file)}"
    storage = RowStorage(target.absolute_url, skip_table_creation=True)
    try:
        for name in optuna.get_all_study_names(storage):
            copied = optuna.load_study(study_name=name, storage=storage)
            original = load_study(study._storage, name) or copied  # it was deleted meanwhile
            yield from _made_own(original, location, copied, target)
    finally:
        close_storage(storage)


def copy_study(source: Location, target: Location, name: str | None = None) -> Iterator[str]:
    """Copies a whole study to another storage: trials with their numbers, states and times.

    Args:
        source: The storage that holds it.
        target: The storage to copy to.
        name: Its name, where the source holds several.

    Yields:
        A line for each thing that was written.

    Raises:
        InputError: There is no such study, or the target holds one of this name.
    """
    with ExitStack() as stack:
        study = find_study(source.current_url, name)
        stack.callback(close_storage, study._storage)
        storage = open_storage(target.current_url, create=True)
        stack.callback(close_storage, storage)
        shown = shown_url(target.url)
        copied = _copy(study, storage, shown)
        trials = copied.get_trials(deepcopy=False)
        unfinished = sum(not t.state.is_finished() for t in trials)
        number = plural(len(trials), "trial")
        yield f"copied:   {number} of {study.study_name!r} to {shown}"
        if unfinished:
            yield f"          {unfinished} of them weren't finished when they were copied"
        yield from _made_own(study, source, copied, target)


def _copy(study: Study, storage: BaseStorage, shown: str) -> Study:
    """Copies all but the files; a copy that isn't whole is removed."""
    name = study.study_name
    trials = study.get_trials(deepcopy=False)
    try:
        copied = optuna.create_study(study_name=name, storage=storage, directions=study.directions)
    except DuplicatedStudyError:
        raise InputError(
            f"{shown} holds a study {name!r} already: copy to another storage"
        ) from None
    try:
        for key, value in study.user_attrs.items():
            if key != FILES:
                copied.set_user_attr(key, value)
        copied.add_trials(trials)
        _copy_system_attrs(study, copied)
    except BaseException:  # Ctrl-C, too
        with suppress(Exception):  # the first error is the one to report
            optuna.delete_study(study_name=name, storage=storage)
        raise
    return copied


def _copy_system_attrs(old: Study, new: Study) -> None:
    """Copies them under the ids of the new trials, where their names hold ids of trials."""
    found = new.get_trials(deepcopy=False)
    ids = {
        str(t._trial_id): copy._trial_id
        for t, copy in zip(old.get_trials(deepcopy=False), found, strict=False)
    }
    for key, value in old._storage.get_study_system_attrs(old._study_id).items():
        match = _OF_TRIAL.fullmatch(key)
        if match and match[2] in ids:
            key = f"{match[1]}{ids[match[2]]}{match[3]}"
        new._storage.set_study_system_attr(new._study_id, key, value)


def _made_own(study: Study, location: Location, copied: Study, target: Location) -> Iterator[str]:
    """Makes a copy a study of its own: no process runs its trials, and no file is the original's.

    Yields:
        A line for each folder that was copied.
    """
    end_leases(copied)
    if FILES in study.user_attrs or RECORD in study.user_attrs:
        old = files_of(study, location)
        if FILES in copied.user_attrs:  # a whole database was copied
            copied.set_user_attr(FILES, None)
        for folder in copy_folders(old, new_files(copied, target)):
            kind = "measured:" if folder.name.endswith(ELSEWHERE) else "weights: "
            yield f"{kind} {target.shown(folder)}"
