"""`optnas storage`: moves studies between storages, and removes what deleted ones have left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optnas.cli.console import echo
from optnas.cli.options import AnyStudy, Name


def storage_copy(
    source: AnyStudy,
    target: Annotated[
        str, typer.Argument(help="URL of the storage to copy to, or a database file.")
    ],
    name: Name = None,
) -> None:
    """Copy a whole study to another storage: trials, states, attributes, curves, times."""
    from optnas.cli.locate import located
    from optnas.cli.study_argument import search_of
    from optnas.storage.urls import Location, database_url
    from optnas.study.copy import copy_study

    # Before the study file is imported, which may change the working directory.
    copy = Location.here(database_url(target) or target)
    source, name = located(source, name)
    url = database_url(source)
    if url is not None:
        location = Location.here(url)
    else:
        search = search_of(source, None, name)
        location, name = search.location, search.study_name
    for line in copy_study(location, copy, name):
        echo(line)


def storage_clean(
    folder: Annotated[Path, typer.Argument(help="The folder.")],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names of leftovers, as `optnas status FOLDER` lists them: remove these and no "
            "others."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them without asking.")] = False,
) -> None:
    """Remove what studies whose database was deleted have left in a folder, after asking.

    It removes only what looks like what optnas writes, belongs to no study of a database in the
    folder, and wasn't changed within the last hour. Files with a tag (NAME-1a2b3c4d_weights), which
    a study on a server may have, and pages, logs or empty folders alone are removed only if they
    are named.
    """
    from optnas.cli.folder_status import clean_folder

    clean_folder(folder, files or [], yes=yes)
