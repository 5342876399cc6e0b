"""Whole copies of a study: to another storage, or as a backup.

Optuna's `copy_study` doesn't serve. Its dashboard lists artifacts and notes in study attributes
whose names hold ids of trials, and the trials of a copy have other ids. `copy_study` keeps the old
names, and an attribute can't be deleted afterwards: a trial could show another one's artifacts. Nor
does it remove what it has written if it fails in the middle.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import optuna
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.errors import InputError
from optnas.storage.open import close_storage, open_storage
from optnas.storage.sqlite import backup
from optnas.storage.urls import kind_of, shown_url, sqlite_url, storage_path
from optnas.study.artifacts import PREFIX
from optnas.study.folders import retrained_folder, shared_folder, weights_folder
from optnas.study.load import find_study, load_study
from optnas.utils.whole_file import whole_file

_OF_TRIAL = re.compile(rf"({PREFIX}|dashboard:)(\d+)(:.*)")


def backup_study(url: str, study_name: str, target: Path) -> Iterator[str]:
    """Copies the SQLite database of a study while workers write, and its folders of weights.

    Yields:
        A line for each thing that was written.

    Raises:
        InputError: It is another kind of storage, the file exists, or it can't be written.
    """
    source = storage_path(url)
    if kind_of(url) != "sqlite" or source is None:
        raise InputError(
            f"backup copies SQLite files, and this is {kind_of(url)}: copy it with `optnas storage "
            "copy`, or with the database's own tools"
        )
    backup(source, target)
    yield f"database: {target}"
    yield from _copy_weights(url, sqlite_url(target), study_name)


def copy_study(source: str, target: str, name: str | None = None) -> Iterator[str]:
    """Copies a whole study to another storage: trials with their numbers, states and times.

    Args:
        source: URL of the storage that holds it.
        target: URL of the storage to copy to.
        name: Its name, where the source holds several.

    Yields:
        A line for each thing that was written.

    Raises:
        InputError: There is no such study, or the target holds one of this name.
    """
    with ExitStack() as stack:
        study = find_study(source, name)
        stack.callback(close_storage, study._storage)
        storage = open_storage(target, create=True)
        stack.callback(close_storage, storage)
        trials = _copy(study, storage, shown_url(target))
    unfinished = sum(not t.state.is_finished() for t in trials)
    yield f"copied:   {len(trials)} trials of {study.study_name!r} to {shown_url(target)}"
    if unfinished:
        yield f"          {unfinished} of them weren't finished when they were copied"
    yield from _copy_weights(source, target, study.study_name)


def _copy(study: Study, storage: BaseStorage, shown: str) -> list[FrozenTrial]:
    """Copies all but the files; a copy that isn't whole is removed."""
    name = study.study_name
    if load_study(storage, name) is not None:
        raise InputError(f"{shown} holds a study {name!r} already: copy to another storage")
    trials = study.get_trials(deepcopy=False)
    try:
        copied = optuna.create_study(study_name=name, storage=storage, directions=study.directions)
        for key, value in study.user_attrs.items():
            copied.set_user_attr(key, value)
        copied.add_trials(trials)
        _copy_system_attrs(study, copied)
    except BaseException:  # Ctrl-C, too
        with suppress(Exception):  # the first error is the one to report
            optuna.delete_study(study_name=name, storage=storage)
        raise
    return trials


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


def _copy_weights(source: str, target: str, study_name: str) -> Iterator[str]:
    for folder in (weights_folder, retrained_folder, shared_folder):
        old, new = folder(source, study_name), folder(target, study_name)
        if old.is_dir() and old.absolute() != new.absolute():
            unfinished = shutil.ignore_patterns(".*", "*.part")  # these may be gone in a moment
            try:
                shutil.copytree(
                    old, new, dirs_exist_ok=True, ignore=unfinished, copy_function=_copy_whole
                )
            except OSError as error:
                raise InputError(
                    f"the study is copied, but not all of the weights in {old}: {error}"
                ) from error
            yield f"weights:  {new}"


def _copy_whole(old: str, new: str) -> None:
    with whole_file(Path(new)) as part:
        shutil.copyfile(old, part)
