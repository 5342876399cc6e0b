"""Commands that show what a study has found."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from optnas.cli.options import LOCAL, AnyStudy, Name, Storage
from optnas.console import show, until_interrupted, write_figure
from optnas.errors import InputError


def status(study: AnyStudy, storage: Storage = None, name: Name = None) -> None:
    """Show how far a study is: trials, front, hypervolume, the best of each objective."""
    from optnas.opening import study_of
    from optnas.tables import status_table

    found, _ = study_of(study, storage, name)
    show(status_table(found))


def pareto(
    study: AnyStudy,
    x: Annotated[str | None, typer.Option(help="Objective on the horizontal axis.")] = None,
    y: Annotated[str | None, typer.Option(help="Objective on the vertical axis.")] = None,
    color: Annotated[str | None, typer.Option(help="Objective shown as colour.")] = None,
    size: Annotated[str | None, typer.Option(help="Objective shown as the points' size.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write the figure to this file, which opens offline.")
    ] = None,
    storage: Storage = None,
    name: Name = None,
) -> None:
    """Show the Pareto front: as a table, and as a figure with --html."""
    from optnas.opening import study_of
    from optnas.plots import pareto_data, pareto_figure
    from optnas.tables import front_table

    found, _ = study_of(study, storage, name)
    data = pareto_data(found, x, y, color, size)
    check_page("--html", html)
    show(front_table(found))
    if html is not None:
        write_figure(pareto_figure(data), html)
        typer.echo(f"figure: {html}")


def report(
    study: AnyStudy,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="The file; by default NAME_report.html beside the database."
        ),
    ] = None,
    storage: Storage = None,
    name: Name = None,
) -> None:
    """Write a page about a study: one file that opens offline, to send to a colleague."""
    from optnas.opening import study_and_search
    from optnas.record import beside
    from optnas.report import write_report

    check_page("--output", output)
    found, url, search = study_and_search(study, storage, name)
    path = output or beside(url, f"{found.study_name}_report.html")
    check_page("--output", path)
    with Console(stderr=True).status("reading the study"):
        write_report(found, path, url=url, search=search)
    typer.echo(f"report: {path}")


def dashboard(
    study: AnyStudy,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8080,
    host: Annotated[
        str, typer.Option(help="Address to listen on. The dashboard has no log-in.")
    ] = "127.0.0.1",
    storage: Storage = None,
    name: Name = None,
) -> None:
    """Open the Optuna dashboard on a study."""
    from optnas.dashboard import make_dashboard
    from optnas.opening import study_of
    from optnas.record import weights_folder

    # Optuna's importance evaluators warn of small studies at every look at the page.
    warnings.simplefilter("ignore")
    found, url = study_of(study, storage, name)
    server = make_dashboard(found._storage, weights_folder(url, found.study_name), host, port)
    if host not in LOCAL:
        typer.echo("the dashboard has no log-in: whoever reaches it can delete studies", err=True)
    page = f"http://{host}:{server.server_port}/dashboard/studies/{found._study_id}"
    typer.echo(f"{page}  (Ctrl-C ends)")
    with until_interrupted():
        server.serve_forever()
    server.server_close()


def check_page(option: str, path: Path | None) -> None:
    """Raises InputError unless a page can be written there."""
    if path is None:
        return
    if path.suffix not in (".html", ".htm"):
        raise InputError(f"{option} {path} must end in .html: the file is overwritten")
    if not path.absolute().parent.is_dir():
        raise InputError(f"there is no folder {path.parent}: make it first")
