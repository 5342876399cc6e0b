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
    from optnas.study.copy import backup_study

    opened = open_study_argument(study, storage, name)
    for line in backup_study(opened.url, opened.study.study_name, file):
        echo(line)
