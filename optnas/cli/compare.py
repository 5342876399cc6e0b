"""`optnas compare`: the fronts of several studies."""

from __future__ import annotations

from typing import Annotated

import typer

from optnas.cli import completion
from optnas.cli.console import echo, show
from optnas.cli.options import Html, OnX, OnY, check_figure


def compare(
    studies: Annotated[
        list[str],
        typer.Argument(
            autocompletion=completion.studies,
            help="Two or more: database files, storage URLs (all studies in them), study files.",
        ),
    ],
    x: OnX = None,
    y: OnY = None,
    html: Html = None,
) -> None:
    """Compare the fronts of several studies: hypervolumes, and which front dominates which."""
    from optnas.cli.comparison_tables import comparison_tables
    from optnas.cli.study_argument import studies_by_label
    from optnas.pareto.compare import compare as compared

    check_figure(html, {"--x": x, "--y": y})
    target = html and html.absolute()  # a study file may change the working directory
    found = compared(studies_by_label(studies))
    figure = None
    if target is not None:
        from optnas.plots import comparison_figure

        figure = comparison_figure(found, x, y)
    for table in comparison_tables(found):
        show(table)
    if found.left_out:
        echo(f"not compared, because not all have it: {', '.join(found.left_out)}")
    for note in found.notes:
        echo(f"not the same settings: {note}")
    if target is not None and figure is not None:
        from optnas.plots.page import write_figure

        write_figure(figure, target)
        echo(f"figure: {html}")
