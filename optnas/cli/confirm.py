"""`optnas confirm`: evaluates the front again with other seeds."""

from __future__ import annotations

from typing import Annotated

import typer

from optnas.cli.console import echo, resumable, show
from optnas.cli.options import AcceptChanges, AnyStudy, File, Name, Storage, Trust
from optnas.errors import InputError


def confirm(
    study: AnyStudy,
    seeds: Annotated[
        int, typer.Option(help="Fresh evaluations of each network, earlier ones included.")
    ] = 3,
    trials: Annotated[
        str | None,
        typer.Option(help="Numbers of the trials, such as 3,7; by default the whole front."),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option(
            help="At most this number of networks: those that keep most of the hypervolume."
        ),
    ] = None,
    storage: Storage = None,
    name: Name = None,
    file: File = None,
    trust: Trust = False,
    accept_changes: AcceptChanges = False,
) -> None:
    """Evaluate the front again with other seeds, to see which of its members were only lucky.

    Networks that were scored with shared weights are trained for real. Evaluations that are done
    already aren't repeated.
    """
    from optnas.cli.network_tables import confirmed_table, standing_line
    from optnas.cli.study_argument import open_study_argument, show_header
    from optnas.finished.confirm import confirm

    numbers = None if trials is None else _numbers(trials)
    opened = open_study_argument(study, storage, name, file=file)
    search, found = opened.needed_search(trust=trust), opened.writable_study()
    show_header(search)
    with resumable():
        confirm(
            found,
            search,
            trials=numbers,
            most=most,
            seeds=seeds,
            accept_changes=accept_changes,
        )
    show(confirmed_table(found))
    echo(standing_line(found))


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f"--trials {text!r} must be numbers with commas, such as 3,7") from error
