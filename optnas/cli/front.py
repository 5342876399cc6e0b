"""Commands that show the results of studies."""

from __future__ import annotations

import gc
import shlex
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from optnas.cli.console import show, until_interrupted, write_figure
from optnas.cli.options import LOCAL, AnyStudy, Html, Name, OnX, OnY, Storage, check_figure, pairs
from optnas.errors import InputError
from optnas.utils.gc import no_garbage_collection

if TYPE_CHECKING:
    from optnas.pareto.snapshot import Snapshot


def _read(study: str, storage: str | None, name: str | None) -> Snapshot:
    """A snapshot of a study for one command: garbage collection leaves its trials alone."""
    from optnas.cli.study_argument import open_study_argument
    from optnas.pareto.snapshot import Snapshot

    found = open_study_argument(study, storage, name, brief=True).study
    with no_garbage_collection():
        seen = Snapshot.of(found)
        gc.freeze()
    return seen


def status(study: AnyStudy, storage: Storage = None, name: Name = None) -> None:
    """Show how far a study is: trials, front, hypervolume, the best of each objective."""
    from optnas.cli.tables import status_table

    show(status_table(_read(study, storage, name)))


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
    from optnas.cli.tables import front_table

    check_figure(html, {"--x": x, "--y": y, "--color": color, "--size": size})
    found = _read(study, storage, name)
    if html is None:
        show(front_table(found))
        return
    from optnas.plots import pareto_data, pareto_figure

    data = pareto_data(found, x, y, color, size)
    show(front_table(found))
    write_figure(pareto_figure(data), html)
    typer.echo(f"figure: {html}")


def dashboard(
    study: AnyStudy,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8080,
    host: Annotated[
        str, typer.Option(help="Address to listen on. The dashboard has no log-in.")
    ] = "127.0.0.1",
    storage: Storage = None,
    name: Name = None,
) -> None:
    """Open the Optuna dashboard on a study, with figures, notes, drawings and ONNX files.

    They are kept in the study and in the folder of its weights, and are updated while it runs. The
    newest hundred members of the front have a note, a drawing and, with the extra onnx and where
    weights are kept, an ONNX file. A note that you have edited stays as it is.
    """
    from optnas.cli.study_argument import open_study_argument
    from optnas.dashboard.publisher import Publisher
    from optnas.dashboard.server import make_app, make_dashboard, publishing
    from optnas.storage.open import open_storage
    from optnas.study.folders import weights_folder
    from optnas.study.load import load_study

    # Optuna's importance evaluators warn of small studies at every look at the page.
    warnings.simplefilter("ignore")
    opened = open_study_argument(study, storage, name, with_search=True)
    found, url, search = opened.study, opened.url, opened.search
    if search is None:
        typer.echo(f"no drawings and no ONNX files: {opened.why}", err=True)
    folder = weights_folder(url, found.study_name)
    server = make_dashboard(found._storage, folder, host, port)
    updates: AbstractContextManager[None] = nullcontext()
    try:  # only now, because nothing is written to a study that can't be shown
        found = load_study(open_storage(url, create=True), found.study_name) or found
        server.set_app(make_app(found._storage, folder))
        updates = publishing(Publisher(found, folder, search))
    except InputError as error:
        typer.echo(f"figures, notes and files can't be added: {error}", err=True)
    if host not in LOCAL:
        typer.echo(
            "the dashboard has no log-in: anyone who reaches it can delete studies", err=True
        )
    page = f"http://{host}:{server.server_port}/dashboard/studies/{found._study_id}"
    typer.echo(f"{page}  (Ctrl-C ends)")
    with until_interrupted(), updates:
        server.serve_forever()
    server.server_close()


def pick(
    study: AnyStudy,
    at_most: Annotated[
        list[str] | None,
        typer.Option("--max", help="Upper limit, NAME=VALUE: latency_ms=2. May be given often."),
    ] = None,
    at_least: Annotated[
        list[str] | None,
        typer.Option("--min", help="Lower limit, NAME=VALUE: val_accuracy=0.9. Likewise."),
    ] = None,
    knee: Annotated[
        bool, typer.Option("--knee", help="The network closest to the best of everything.")
    ] = False,
    weights: Annotated[
        str | None,
        typer.Option(
            help="The largest weighted sum, each objective scaled to its range on the front: "
            "val_accuracy=1,flops=-0.1 (below 0 where less is better)."
        ),
    ] = None,
    storage: Storage = None,
    name: Name = None,
) -> None:
    """Pick a network of the front: within limits, by weights, or the knee.

    With limits alone it is the best in the study's first objective; without options, the knee.
    """
    from optnas.cli.tables import pick_table
    from optnas.pareto.pick import pick as choose

    found = _read(study, storage, name)
    picked = choose(
        found,
        at_most=pairs("--max", at_most),
        at_least=pairs("--min", at_least),
        weights=pairs("--weights", weights.split(",") if weights else None),
        by_knee=knee,
    )
    typer.echo(f"trial {picked.entry.trial.number}: {picked.entry.architecture}\n{picked.why}\n")
    show(pick_table(found, picked))
    typer.echo(f"\nnext: optnas retrain {shlex.quote(study)} --trial {picked.entry.trial.number}")


def compare(
    studies: Annotated[
        list[str],
        typer.Argument(
            help="Two or more: database files, storage URLs (all studies in them), study files."
        ),
    ],
    x: OnX = None,
    y: OnY = None,
    html: Html = None,
) -> None:
    """Compare the fronts of several studies: hypervolumes, and which front dominates which."""
    from optnas.cli.study_argument import studies_by_label
    from optnas.cli.tables import comparison_tables
    from optnas.pareto.compare import compare as compared

    check_figure(html, {"--x": x, "--y": y})
    found = compared(studies_by_label(studies))
    figure = None
    if html is not None:
        from optnas.plots import comparison_figure

        figure = comparison_figure(found, x, y)
    for table in comparison_tables(found):
        show(table)
    if found.left_out:
        typer.echo(f"not compared, because not all have it: {', '.join(found.left_out)}")
    for note in found.notes:
        typer.echo(f"not the same settings: {note}")
    if html is not None and figure is not None:
        write_figure(figure, html)
        typer.echo(f"figure: {html}")
