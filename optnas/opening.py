"""A study, and the search that it was run with, by what a person typed."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from optuna.study import Study

from optnas.errors import InputError
from optnas.record import find_study, record_of

if TYPE_CHECKING:  # it imports torch, which takes a second; a storage's URL needs none of it
    from optnas.search import Search


def search_of(study: str, storage: str | None, name: str | None) -> Search:
    """The search of a study file or bundled name, with another storage or name if given."""
    from optnas.study_file import load_search

    search = load_search(study)
    if storage is None and not search.url:
        raise InputError(f"the storage of {study} is an object: give its URL, or --storage")
    return replace(search, storage=storage or search.storage, name=name or search.name)


def study_of(study: str, storage: str | None, name: str | None) -> tuple[Study, str]:
    """The study behind a study file, a bundled name, or a URL; and its storage's URL."""
    if "://" in study:
        if storage is not None:
            raise InputError(f"{study} is a storage already: leave out --storage")
        return find_study(study, name), study
    search = search_of(study, storage, name)
    return find_study(search.url, search.study_name), search.url


def search_and_study(study: str, storage: str | None, name: str | None) -> tuple[Search, Study]:
    """A study with the search that it was run with, overrides of earlier runs included."""
    found, url = study_of(study, storage, name)
    if "://" in study:
        search = search_of(file_of(found), url, found.study_name)
    else:
        search = search_of(study, storage, name)
    return search.override(search.remembered()), found


def study_and_search(
    study: str, storage: str | None, name: str | None
) -> tuple[Study, str, Search | InputError]:
    """A study, its storage's URL, and the search, or why there is none behind a URL any more."""
    if "://" not in study:
        search = search_of(study, storage, name)
        found, url = find_study(search.url, search.study_name), search.url
    else:
        found, url = study_of(study, storage, name)
        try:
            search = search_of(file_of(found), url, found.study_name)
        except InputError as error:
            return found, url, error
    return found, url, search.override(search.remembered())


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
