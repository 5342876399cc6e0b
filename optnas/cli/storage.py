"""`optnas storage`: moves studies between storages."""

from __future__ import annotations

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
    from optnas.storage.urls import database_url
    from optnas.study.copy import copy_study

    source, name = located(source, name)
    url = database_url(source)
    if url is None:
        search = search_of(source, None, name)
        url, name = search.url, search.study_name
    for line in copy_study(url, database_url(target) or target, name):
        echo(line)
