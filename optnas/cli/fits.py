"""`optnas fits`: how much of a search space fits a microcontroller."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from optnas.cli import completion
from optnas.cli.console import echo, show
from optnas.cli.options import Html, TargetName, check_page


def fits(
    studies: Annotated[
        list[str],
        typer.Argument(
            autocompletion=completion.studies,
            help="Study files or names of bundled studies; several are compared.",
        ),
    ],
    target: TargetName = None,
    number: Annotated[
        int, typer.Option("--number", "-n", help="Random networks of each space.", min=1)
    ] = 200,
    seed: Annotated[int, typer.Option(help="Seeds the draws.")] = 0,
    html: Html = None,
) -> None:
    """Count how much of a space fits a microcontroller, and the macs of what fits.

    Networks are drawn at random and counted; nothing is trained.
    """
    from optnas.cli.fits_table import fits_table
    from optnas.cli.locate import check_study_file, located
    from optnas.search.fits import fits as fits_of
    from optnas.search.study_file import load_search

    if html is not None:
        check_page("--html", html)
    page = html and html.absolute()  # a study file may change the working directory
    files = [located(study, None).argument for study in dict.fromkeys(studies)]
    for file in files:
        check_study_file(file)
    stems = [Path(file).stem for file in files]
    labels = stems if len(set(stems)) == len(stems) else files
    paths = [Path(file).absolute() if os.path.isfile(file) else file for file in files]
    searches = [load_search(path) for path in paths]
    found = fits_of(dict(zip(labels, searches, strict=True)), target, n=number, seed=seed)
    show(fits_table(found))
    if page is not None:
        from optnas.plots import fits_figure
        from optnas.plots.page import write_figure

        write_figure(fits_figure(found), page)
        echo(f"figure: {html}")
