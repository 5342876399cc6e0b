"""`optnas status`: how far a study is, or which studies a folder has."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from optnas.cli import completion
from optnas.cli.console import show
from optnas.cli.options import Name, Storage
from optnas.errors import InputError


def status(
    study: Annotated[
        str,
        typer.Argument(
            autocompletion=completion.studies,
            help="A study file, a study's name, the name of a bundled study, a database file, a "
            "storage URL, or a folder.",
        ),
    ],
    storage: Storage = None,
    name: Name = None,
) -> None:
    """Show how far a study is: trials, front, hypervolume, the best of each objective.

    Of a folder, show the studies of all its databases, and the files that belong to none of them.
    """
    from optnas.search.bundled import bundled_folder

    if os.path.isdir(study) and not os.path.isfile(bundled_folder() / f"{study}.py"):
        if storage is not None or name is not None:
            raise InputError(f"{study} is a folder: leave out --storage and --name")
        # Not above: it imports torch, which takes seconds.
        from optnas.cli.folder_status import show_folder

        show_folder(study)
    else:
        from optnas.cli.status_table import status_table
        from optnas.cli.study_argument import read_snapshot

        show(status_table(read_snapshot(study, storage, name)))
