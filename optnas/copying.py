"""Whole copies of a study: to another storage, or as a backup."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.errors import InputError
from optnas.record import beside, find_study, weights_folder
from optnas.sqlite import backup, sqlite_url
from optnas.storage import kind_of, open_storage, storage_path
from optnas.weights import PREFIX


def backup_study(url: str, study_name: str, target: Path) -> Iterator[str]:
    """Copies the SQLite database of a study while workers write, and the weights beside it.

    Yields:
        What was written.

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
    """Copies a study whole to another storage: trials with their numbers, states and times.

    Args:
        source: URL of the storage that holds it.
        target: URL of the storage to copy to.
        name: Its name, where the source holds several.

    Yields:
        What was written.

    Raises:
        InputError: There is no such study, or the target holds one of this name.
    """
    study = find_study(source, name)
    storage = open_storage(target, create=True)
    trials = study.get_trials(deepcopy=False)
    try:
        optuna.copy_study(
            from_study_name=study.study_name, from_storage=study._storage, to_storage=storage
        )
    except DuplicatedStudyError as error:
        raise InputError(
            f"{target} holds a study {study.study_name!r} already: copy to another storage"
        ) from error
    copied = optuna.load_study(study_name=study.study_name, storage=storage)
    _renumber_artifacts(study, copied, trials)
    unfinished = sum(not t.state.is_finished() for t in trials)
    yield f"copied:   {len(trials)} trials of {study.study_name!r} to {target}"
    if unfinished:
        yield f"          {unfinished} of them weren't finished when they were copied"
    yield from _copy_weights(source, target, study.study_name)


def _renumber_artifacts(old: Study, new: Study, trials: list[FrozenTrial]) -> None:
    """Optuna's dashboard files artifacts under the ids of trials, which differ by storage."""
    storage, study_id = new._storage, new._study_id
    ids = {str(t._trial_id): t.number for t in trials}
    found = storage.get_all_trials(study_id, deepcopy=False)
    attrs = old._storage.get_study_system_attrs(old._study_id)
    moved = {}
    for key, value in attrs.items():
        trial_id, _, artifact_id = key.removeprefix(PREFIX).partition(":")
        if key.startswith(PREFIX) and trial_id in ids:
            moved[f"{PREFIX}{found[ids[trial_id]]._trial_id}:{artifact_id}"] = value
            if key not in moved:
                storage.set_study_system_attr(study_id, key, json.dumps(None))
    for key, value in moved.items():
        storage.set_study_system_attr(study_id, key, value)


def _copy_weights(source: str, target: str, study_name: str) -> Iterator[str]:
    old = weights_folder(source, study_name)
    new = weights_folder(target, study_name)
    if old.is_dir() and old.absolute() != new.absolute():
        try:
            shutil.copytree(old, new, dirs_exist_ok=True)
        except OSError as error:
            raise InputError(
                f"the study is copied, but not the weights in {old}: {error}"
            ) from error
        yield f"weights:  {beside(target, new.name)}"
