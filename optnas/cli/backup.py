"""`optnas backup`: copies a database that workers write to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optnas.cli.console import echo
from optnas.cli.options import AnyStudy, Name, Storage


def backup(
    study: AnyStudy,
    file: Annotated[Path, typer.Argument(help="The file to write, such as copy.db.")],
    storage: Storage = None,
    name: Name = None,
) -> None:
    """Copy a study's SQLite database, and the weights next to it, while workers write."""
    from optnas.cli.study_argument import open_study_argument
    from optnas.storage.urls import Location, sqlite_url
    from optnas.study.copy import backup_study

    target = Location.here(sqlite_url(file))
    opened = open_study_argument(study, storage, name)
    for line in backup_study(opened.study, opened.location, target):
        echo(line)
