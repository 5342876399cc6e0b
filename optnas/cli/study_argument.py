"""A study, and the search that it was run with, by what a person typed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.study import Study

from optnas.errors import InputError
from optnas.storage.open import open_storage
from optnas.storage.urls import sqlite_url
from optnas.study.load import find_studies, find_study, load_study
from optnas.study.record import record_of

if TYPE_CHECKING:  # it imports torch, which takes a second; a storage's URL needs none of it
    from optnas.search.settings import Search


def search_of(study: str, storage: str | None, name: str | None) -> Search:
    """The search of a study file or bundled name, with another storage or name if given."""
    from optnas.search.study_file import load_search

    search = load_search(study)
    if storage is None and not search.url:
        raise InputError(f"the storage of {study} is an object: give its URL, or --storage")
    return replace(search, storage=storage or search.storage, name=name or search.name)


def study_of(
    study: str, storage: str | None, name: str | None, *, brief: bool = False
) -> tuple[Study, str]:
    """The study behind a study file, a bundled name, a database file or a URL; and the URL.

    With `brief`, curves and details may be left out (see `find_study`).
    """
    url = _url(study)
    if url is None:
        search = search_of(study, storage, name)
        return find_study(search.url, search.study_name, brief=brief), search.url
    if storage is not None:
        raise InputError(f"{study} is a storage already: leave out --storage")
    return find_study(url, name, brief=brief), url


def studies_of(arguments: Sequence[str]) -> dict[str, Study]:
    """All studies behind study files, bundled names, database files and URLs, by a label."""
    found: dict[str, Study] = {}
    for argument in dict.fromkeys(arguments):
        url = _url(argument)
        if url is None:
            own = [study_of(argument, None, None, brief=True)[0]]
        else:
            own = find_studies(url, brief=True)
        for study in own:
            label = Path(argument).name if len(own) == 1 else study.study_name
            found[label if label not in found else f"{argument}: {study.study_name}"] = study
    return found


def _url(study: str) -> str | None:
    """The URL that is given, or that of a database file that is; None for a study file or name."""
    if "://" in study:
        return study
    path = Path(study)
    if path.suffix in (".db", ".sqlite", ".sqlite3"):
        return sqlite_url(path)
    return f"journal:///{path}" if path.suffix == ".journal" else None


def search_and_study(study: str, storage: str | None, name: str | None) -> tuple[Search, Study]:
    """A study with the search that it was run with, overrides of earlier runs included."""
    found, _, search_for = _opened(study, storage, name)
    search = search_for()
    return search.override(search.remembered()), found


def search_and_study_to_write(
    study: str, storage: str | None, name: str | None
) -> tuple[Search, Study]:
    """The same, with a study that more may be written into."""
    search, found = search_and_study(study, storage, name)
    writable = load_study(open_storage(search.url, create=True), found.study_name)
    return search, writable or found


def study_and_search(
    study: str, storage: str | None, name: str | None
) -> tuple[Study, str, Search | str]:
    """A study, its storage's URL, and the search; or, in words, why a storage leads to none."""
    found, url, search_for = _opened(study, storage, name)
    try:
        search = search_for()
    except InputError as error:
        return found, url, str(error).partition(": give the file")[0]
    return found, url, search.override(search.remembered())


def _opened(
    study: str, storage: str | None, name: str | None
) -> tuple[Study, str, Callable[[], Search]]:
    """A study, its storage's URL, and what makes its search; a study file is imported once."""
    if _url(study) is None:
        search = search_of(study, storage, name)
        return find_study(search.url, search.study_name), search.url, lambda: search
    found, url = study_of(study, storage, name)
    return found, url, lambda: search_of(file_of(found), url, found.study_name)


def file_of(study: Study) -> str:
    """The study file that a study remembers; raises InputError if there is none now."""
    path: str = record_of(study).get("file", "")
    if not path:
        raise InputError(
            f"study {study.study_name!r} remembers no study file (it was made in Python): give "
            "the file (`resume` takes --file), or go on with it in Python"
        )
    if not os.path.isfile(path):
        raise InputError(
            f"the study file was {path}, where there is none now: give the file (`resume` takes "
            "--file)"
        )
    return path
