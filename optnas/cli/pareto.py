"""`optnas pareto`: the front as a table, and as a figure."""

from __future__ import annotations

from typing import Annotated

import typer

from optnas.cli.console import echo, show
from optnas.cli.options import AnyStudy, Html, Name, OnX, OnY, Storage, check_figure


def pareto(
    study: AnyStudy,
    x: OnX = None,
    y: OnY = None,
    color: Annotated[str | None, typer.Option(help="Objective shown as colour.")] = None,
    size: Annotated[str | None, typer.Option(help="Objective shown as the points' size.")] = None,
    html: Html = None,
    storage: Storage = None,
    name: Name = None,
) -> None:
    """Show the Pareto front: as a table, and as a figure with --html."""
    from optnas.cli.front_table import front_table
    from optnas.cli.study_argument import read_snapshot

    check_figure(html, {"--x": x, "--y": y, "--color": color, "--size": size})
    target = html and html.absolute()  # a study file may change the working directory
    found = read_snapshot(study, storage, name)
    if target is None:
        show(front_table(found))
        return
    from optnas.plots import pareto_data, pareto_figure
    from optnas.plots.page import write_figure

    figure = pareto_figure(pareto_data(found, x, y, color, size))
    show(front_table(found))
    write_figure(figure, target)
    echo(f"figure: {html}")
