"""`optnas report`: a page about a study, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optnas.cli.console import echo
from optnas.cli.options import AnyStudy, File, Name, Storage, check_page


def report(
    study: AnyStudy,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The file; by default NAME_report.html next to the database."
        ),
    ] = None,
    storage: Storage = None,
    name: Name = None,
    file: File = None,
) -> None:
    """Write a page about a study: one file that opens offline, to send to a colleague."""
    from optnas.cli.study_argument import open_study_argument
    from optnas.report import write_report
    from optnas.study.elsewhere import other_devices
    from optnas.study.folders import REPORT, files_of
    from optnas.utils.terminal import Terminal

    if output is not None:
        check_page("--output", output)
        output = output.absolute()  # the study file may change the working directory
    opened = open_study_argument(study, storage, name, file=file)
    path = output or files_of(opened.study, opened.location).path(REPORT)
    check_page("--output", path)
    if opened.undrawn:
        echo(f"without drawings of the networks: {opened.undrawn}", err=True)
    url = opened.location.url
    with Terminal(stderr=True).status("making the page"):
        write_report(
            opened.study,
            path,
            url=url,
            search=opened.search or opened.undrawn,
            devices=other_devices(opened.study, opened.location),
        )
    echo(f"report: {opened.location.shown(path)}")
