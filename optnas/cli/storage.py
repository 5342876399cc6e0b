"""`optnas storage`: moves studies between storages."""

from __future__ import annotations

from typing import Annotated

import typer

from optnas.cli.console import echo
from optnas.cli.options import Name


def storage_copy(
    source: Annotated[str, typer.Argument(help="URL of the storage to copy from.")],
    target: Annotated[str, typer.Argument(help="URL of the storage to copy to.")],
    name: Name = None,
) -> None:
    """Copy a whole study to another storage: trials, states, attributes, curves, times."""
    from optnas.study.copy import copy_study

    for line in copy_study(source, target, name):
        echo(line)
