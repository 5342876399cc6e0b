"""The study that the user names on the command line, and the search that it was run with."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.study import Study

from optnas.cli.console import echo
from optnas.cli.locate import check_study_file, located
from optnas.errors import InputError
from optnas.storage.open import open_storage
from optnas.storage.urls import Location, database_url, shown_url
from optnas.study.load import find_studies, find_study, load_study
from optnas.study.record import record_of, search_record
from optnas.utils.gc import no_garbage_collection

if TYPE_CHECKING:  # it imports torch, which takes a second; a storage's URL needs none of it
    from optnas.pareto.snapshot import Snapshot
    from optnas.search.search import Search

_NO_CODE = "looking at a database runs no code; give the study file with --file"
_NO_FILE = "only networks of a study file are drawn, and this study has none"


@dataclass(frozen=True)
class Opened:
    """A study that the user named.

    Attributes:
        study: The study.
        location: Its storage.
        search: The search of the study file that the user gave, overrides of earlier runs included;
            None if the user gave none.
    """

    study: Study
    location: Location
    search: Search | None

    def needed_search(self, *, trust: bool) -> Search:
        """The search, if need be of the study file that the study names.

        Args:
            trust: The option --trust.

        Raises:
            InputError: There is no such file, or the user hasn't named it.
        """
        if self.search is not None:
            return self.search
        search = search_of_study(self.study, self.location, trust=trust)
        return search.override(record_of(self.study).overrides)

    def writable_study(self) -> Study:
        """The study, from a storage that can be written to."""
        storage = open_storage(self.location.current_url, create=True)
        return load_study(storage, self.study.study_name) or self.study

    def snapshot(self) -> Snapshot:
        """A snapshot of the study for one command: garbage collection leaves its trials alone."""
        from optnas.pareto.snapshot import Snapshot

        with no_garbage_collection():
            seen = Snapshot.of(self.study)
            gc.freeze()
        return seen

    @property
    def undrawn(self) -> str:
        """Why there is no search whose networks are drawn, and what to do; empty if there is."""
        if self.search is not None:
            return ""
        return _NO_CODE if self._is_of_a_search() else _NO_FILE

    def _is_of_a_search(self) -> bool:
        return bool(search_record(self.study).fingerprint)

    def retrains(self) -> bool:
        """Whether its networks can be retrained, as far as is known without running code."""
        if self.search is None:
            return self._is_of_a_search() and search_record(self.study).retrains is not False
        from optnas.evaluators.abilities import why_no_retraining

        return not why_no_retraining(self.search.objective().evaluator)


def open_study_argument(
    argument: str,
    storage: str | None = None,
    name: str | None = None,
    *,
    file: str | None = None,
    brief: bool = False,
) -> Opened:
    """Opens the study behind a study file, a bundled name, a database file or a storage URL.

    No code is run but that of a study file that the user gives.

    Args:
        argument: What the user typed.
        storage: The option --storage: another storage than the study file's.
        name: The option --name.
        file: The option --file: the study file of a storage's study.
        brief: Whether curves and details may be left out (see `find_study`).

    Raises:
        InputError: There is no such study, or its study file can't be used.
    """
    argument, name = located(argument, name)
    url, search = database_url(argument), None
    if url is None:
        if file is not None:
            raise InputError(f"{argument} is a study file already: leave out --file")
        search = search_of(argument, storage, name)
        location, name = search.location, search.study_name
    elif storage is not None:
        raise InputError(f"{argument} is a storage already: leave out --storage")
    else:
        location = Location.here(url)
    study = find_study(location.current_url, name, brief=brief)
    if file is not None:
        search = replace(search_of(file, location.url, study.study_name), root=location.root)
    if search is not None:
        search = search.override(record_of(study).overrides)
    return Opened(study, location, search)


def read_snapshot(study: str, storage: str | None, name: str | None) -> Snapshot:
    """A snapshot of a study that a command only reads (see `open_study_argument`)."""
    return open_study_argument(study, storage, name, brief=True).snapshot()


def studies_by_label(arguments: Sequence[str]) -> dict[str, Study]:
    """All studies behind study files, bundled names, database files and URLs, by a label."""
    found: dict[str, Study] = {}
    # Before the first study file is imported, which may change the working directory.
    root = Path.cwd()
    for argument, name in [located(argument, None) for argument in dict.fromkeys(arguments)]:
        url = database_url(argument)
        if url is not None and name is None:
            own = find_studies(Location(url, root).current_url, brief=True)
        else:
            file = str(root / argument) if os.path.isfile(root / argument) else argument
            own = [open_study_argument(file, name=name, brief=True).study]
        for study in own:
            label = Path(argument).name if len(own) == 1 else study.study_name
            found[label if label not in found else f"{argument}: {study.study_name}"] = study
    return found


def search_of(file: str, storage: str | None, name: str | None) -> Search:
    """The search of a study file or bundled name, with another storage or name if given."""
    from optnas.search.study_file import load_search

    check_study_file(file)
    search = load_search(file)
    assert search.file is not None
    # As at its import: its code may parse arguments when it trains, and must not see optnas's own.
    sys.argv = [str(search.root / search.file)]
    if storage is None and not search.url:
        raise InputError(f"the storage of {file} is an object: give its URL, or --storage")
    return replace(search, storage=storage or search.storage, name=name or search.name)


def show_header(search: Search) -> None:
    """Prints which study a command works on, in which database, and on which device."""
    from optnas.devices.device import resolve_device

    device = search.device if search.device != "auto" else resolve_device("auto")
    echo(f"study {search.study_name} in {shown_url(search.url)}, on {device}", err=True)


def search_of_study(study: Study, location: Location, *, trust: bool) -> Search:
    """The search of the study file that a study names, without overrides.

    Args:
        study: The study.
        location: Its storage.
        trust: Whether to import a file that this user hasn't named before.

    Raises:
        InputError: The study names no file, there is none now, or it isn't to be imported.
    """
    from optnas.search.bundled import bundled_folder
    from optnas.search.known_files import is_known

    named = record_of(study).file
    if not named:
        raise InputError(
            f"study {study.study_name!r} remembers no study file (it was made in Python): give one "
            "that defines `search = optnas.Search(…)` with --file, or go on in Python"
        )
    path = Path(named)
    if not os.path.isfile(path):
        raise InputError(
            f"the study file was {named}, where there is none now: give the file with --file"
        )
    if not (trust or path.parent.resolve() == bundled_folder().resolve() or is_known(path)):
        raise InputError(
            f"the database names the study file {named}, which you haven't used before, and "
            "importing it runs its code: read it, and give --trust, or another one with --file"
        )
    return replace(search_of(named, location.url, study.study_name), root=location.root)
