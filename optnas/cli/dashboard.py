"""`optnas dashboard`: the Optuna dashboard with what optnas adds."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, chdir, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from optnas.cli.console import echo, until_interrupted
from optnas.cli.options import LOCAL, AnyStudy, File, Name, Storage
from optnas.cli.usage import in_options
from optnas.errors import InputError


def dashboard(
    study: AnyStudy,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8080,
    host: Annotated[
        str, typer.Option(help="Address to listen on. The dashboard has no log-in.")
    ] = "127.0.0.1",
    storage: Storage = None,
    name: Name = None,
    file: File = None,
) -> None:
    """Open the Optuna dashboard on a study, with figures, notes, drawings and ONNX files.

    They are kept in the study and in the folder of its weights, and are updated while it runs. The
    newest hundred members of the front have a note, a drawing and, with the extra onnx and where
    weights are kept, an ONNX file. A note that you have edited stays as it is.
    """
    from optnas.cli.study_argument import Opened, open_study_argument
    from optnas.dashboard.publisher import Publisher
    from optnas.dashboard.server import make_app, make_dashboard, publishing
    from optnas.study.folders import WEIGHTS, files_of, own_files

    # Optuna's importance evaluators warn of small studies at every look at the page.
    warnings.simplefilter("ignore")
    root = Path.cwd()
    opened = open_study_argument(study, storage, name, file=file)
    found, location = opened.study, opened.location
    if opened.undrawn:
        echo(f"no drawings and no ONNX files: {opened.undrawn}", err=True)
    server = make_dashboard(found._storage, files_of(found, location).path(WEIGHTS), host, port)

    def shown(opened: Opened) -> Publisher:
        own = opened.writable_study()
        folder = own_files(own, opened.location).path(WEIGHTS)
        server.set_app(make_app(own._storage, folder))
        return Publisher(own, folder, opened.search)

    def reopened() -> Publisher:
        with chdir(root):  # the study file may have changed the working directory
            return shown(open_study_argument(study, storage, name, file=file))

    updates: AbstractContextManager[None] = nullcontext()
    try:  # only now, because nothing is written to a study that can't be shown
        updates = publishing(shown(opened), reopened)
    except InputError as error:
        echo(f"figures, notes and files can't be added: {in_options(error)}", err=True)
    if host not in LOCAL:
        echo("the dashboard has no log-in: anyone who reaches it can delete studies", err=True)
    page = f"http://{host}:{server.server_port}/dashboard/studies/{found._study_id}"
    echo(f"{page}  (Ctrl-C ends)")
    with until_interrupted(), updates:
        server.serve_forever()
    server.server_close()
