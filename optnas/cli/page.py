"""The command that writes a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from optnas.cli.options import AnyStudy, Name, Storage, check_page


def report(
    study: AnyStudy,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The file; by default NAME_report.html beside the database."
        ),
    ] = None,
    storage: Storage = None,
    name: Name = None,
) -> None:
    """Write a page about a study: one file that opens offline, to send to a colleague."""
    from optnas.cli.study_argument import study_and_search
    from optnas.report import write_report
    from optnas.study.folders import beside

    if output is not None:
        check_page("--output", output)
    found, url, search = study_and_search(study, storage, name)
    path = output or beside(url, f"{found.study_name}_report.html")
    check_page("--output", path)
    if isinstance(search, str):
        typer.echo(f"without drawings of the networks: {search}", err=True)
    with Console(stderr=True).status("making the page"):
        write_report(found, path, url=url, search=search)
    typer.echo(f"report: {path}")
