"""The study that the user names on the command line, and the search that it was run with."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.study import Study

from optnas.cli.locate import located
from optnas.errors import InputError
from optnas.storage.open import open_storage
from optnas.storage.urls import sqlite_url
from optnas.study.load import find_studies, find_study, load_study
from optnas.study.record import record_of
from optnas.utils.gc import no_garbage_collection

if TYPE_CHECKING:
    from optnas.pareto.snapshot import Snapshot

if TYPE_CHECKING:  # it imports torch, which takes a second; a storage's URL needs none of it
    from optnas.pareto.snapshot import Snapshot
    from optnas.search.search import Search


@dataclass(frozen=True)
class Opened:
    """A study that the user named.

    Attributes:
        study: The study.
        url: Its storage.
        search: The search that it was run with, overrides of earlier runs included; None if it
            wasn't asked for, or can't be had.
        why: Why the search can't be had; empty otherwise.
        remedy: What the user can do about that.
    """

    study: Study
    url: str
    search: Search | None = None
    why: str = ""
    remedy: str = ""

    def needed_search(self) -> Search:
        """The search; raises InputError if it can't be had."""
        if self.search is None:
            raise InputError(f"{self.why}: {self.remedy}" if self.remedy else self.why)
        return self.search


def open_study_argument(
    argument: str,
    storage: str | None = None,
    name: str | None = None,
    *,
    brief: bool = False,
    writable: bool = False,
    with_search: bool = False,
) -> Opened:
    """Opens the study behind a study file, a bundled name, a database file or a storage URL.

    Args:
        argument: What the user typed.
        storage: The option --storage: another storage than the study file's.
        name: The option --name.
        brief: Whether curves and details may be left out (see `find_study`).
        writable: Whether the study will be written to.
        with_search: Whether to find the search too. For a storage this imports the study file
            that the study remembers.

    Raises:
        InputError: There is no such study, or its study file can't be used.
    """
    argument, name = located(argument, name)
    url, search = storage_url(argument), None
    if url is None:
        search = search_of(argument, storage, name)
        url, name = search.url, search.study_name
    elif storage is not None:
        raise InputError(f"{argument} is a storage already: leave out --storage")
    study = find_study(url, name, brief=brief)
    why = remedy = ""
    if with_search:
        try:
            search = search or search_of_study(study, url)
        except NoStudyFileError as error:
            why, remedy = error.why, error.remedy
        except InputError as error:
            why = str(error)
        else:
            search = search.override(record_of(study).overrides)
    if writable and not why:
        study = load_study(open_storage(url, create=True), study.study_name) or study
    return Opened(study, url, search if with_search else None, why, remedy)


def read_snapshot(study: str, storage: str | None, name: str | None) -> Snapshot:
    """A snapshot of a study for one command: garbage collection leaves its trials alone."""
    from optnas.pareto.snapshot import Snapshot

    found = open_study_argument(study, storage, name, brief=True).study
    with no_garbage_collection():
        seen = Snapshot.of(found)
        gc.freeze()
    return seen


def studies_by_label(arguments: Sequence[str]) -> dict[str, Study]:
    """All studies behind study files, bundled names, database files and URLs, by a label."""
    found: dict[str, Study] = {}
    for argument in dict.fromkeys(arguments):
        argument, name = located(argument, None)
        url = storage_url(argument)
        if url is None or name is not None:
            own = [open_study_argument(argument, name=name, brief=True).study]
        else:
            own = find_studies(url, brief=True)
        for study in own:
            label = Path(argument).name if len(own) == 1 else study.study_name
            found[label if label not in found else f"{argument}: {study.study_name}"] = study
    return found


def storage_url(argument: str) -> str | None:
    """The URL itself, or that of a database file; None for a study file or a bundled name."""
    if "://" in argument:
        return argument
    path = Path(argument)
    if path.suffix in (".db", ".sqlite", ".sqlite3"):
        return sqlite_url(path)
    return f"journal:///{path}" if path.suffix == ".journal" else None


def search_of(file: str, storage: str | None, name: str | None) -> Search:
    """The search of a study file or bundled name, with another storage or name if given."""
    from optnas.search.study_file import load_search

    search = load_search(file)
    if storage is None and not search.url:
        raise InputError(f"the storage of {file} is an object: give its URL, or --storage")
    return replace(search, storage=storage or search.storage, name=name or search.name)


def search_of_study(study: Study, url: str) -> Search:
    """The search that a study was run with, without overrides.

    Raises:
        NoStudyFileError: The study remembers no study file, or there is none now.
    """
    path = record_of(study).file
    if not path:
        raise NoStudyFileError(
            f"study {study.study_name!r} remembers no study file (it was made in Python)",
            "give the file (`resume` takes --file), or resume it in Python",
        )
    if not os.path.isfile(path):
        raise NoStudyFileError(
            f"the study file was {path}, where there is none now",
            "give the file (`resume` takes --file)",
        )
    return search_of(path, url, study.study_name)


class NoStudyFileError(InputError):
    """A study leads to no study file.

    Args:
        why: The reason.
        remedy: What the user can do about it.
    """

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(f"{why}: {remedy}")
        self.why, self.remedy = why, remedy
