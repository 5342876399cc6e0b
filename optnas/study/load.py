"""Studies of a storage, by name."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import optuna
from optuna.storages import BaseStorage
from optuna.study import Study

from optnas.errors import InputError
from optnas.storage.open import open_storage
from optnas.storage.urls import shown_url
from optnas.study.attributes import CURVE, DETAIL, SHARED
from optnas.study.objectives import Direction
from optnas.utils.text import listed, there_are

LONG = (CURVE, f"{DETAIL}macs", f"{DETAIL}weights", f"{DETAIL}{SHARED}")
"""Learning curves, and details without the interval of a measurement: seldom needed."""


def find_study(url: str, name: str | None = None, *, brief: bool = False) -> Study:
    """Opens a study that exists (with `brief`: without `LONG`).

    Raises:
        InputError: The storage can't be opened, it holds no such study, or several and no name
            is given.
    """
    storage, names = _open(url, brief)
    if name is None and len(names) != 1:
        raise InputError(
            f"{shown_url(url)} holds {len(names)} studies ({listed(names)}): give `name=`"
        )
    if name is not None and name not in names:
        raise InputError(f"{shown_url(url)} holds no study {name!r}; {there_are(name, names)}")
    return optuna.load_study(study_name=names[0] if name is None else name, storage=storage)


def find_studies(url: str, *, brief: bool = False) -> list[Study]:
    """Opens all studies of a storage, which has some; raises InputError as `find_study`."""
    storage, names = _open(url, brief)
    return [optuna.load_study(study_name=name, storage=storage) for name in names]


def _open(url: str, brief: bool) -> tuple[BaseStorage, list[str]]:
    storage = open_storage(url, without=LONG if brief else ())
    names = optuna.get_all_study_names(storage)
    if not names:
        raise InputError(f"there is no study in {shown_url(url)} yet: `optnas run` makes one")
    return storage, names


def load_study(storage: BaseStorage, name: str) -> Study | None:
    """The study of this name; None if there is none."""
    try:
        return optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        return None


def load_or_create(
    storage: BaseStorage, name: str, directions: Sequence[Direction]
) -> tuple[Study, bool]:
    """The study of this name, and whether it was made now."""
    study = load_study(storage, name)
    if study is not None:
        return study, False
    with suppress(optuna.exceptions.DuplicatedStudyError):  # another process made it just now
        return optuna.create_study(study_name=name, storage=storage, directions=directions), True
    return optuna.load_study(study_name=name, storage=storage), False
