"""Commands that make, move and share studies."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from optnas.cli.console import until_interrupted
from optnas.cli.options import LOCAL, AnyStudy, Name, Storage
from optnas.errors import InputError


def backup(
    study: AnyStudy,
    file: Annotated[Path, typer.Argument(help="The file to write, such as copy.db.")],
    storage: Storage = None,
    name: Name = None,
) -> None:
    """Copy a study's SQLite database, and the weights next to it, while workers write."""
    from optnas.cli.study_argument import open_study_argument
    from optnas.study.copy import backup_study

    opened = open_study_argument(study, storage, name)
    for line in backup_study(opened.url, opened.study.study_name, file):
        typer.echo(line)


def storage_copy(
    source: Annotated[str, typer.Argument(help="URL of the storage to copy from.")],
    target: Annotated[str, typer.Argument(help="URL of the storage to copy to.")],
    name: Name = None,
) -> None:
    """Copy a whole study to another storage: trials, states, attributes, curves, times."""
    from optnas.study.copy import copy_study

    for line in copy_study(source, target, name):
        typer.echo(line)


def serve(
    storage: Annotated[
        str, typer.Argument(help="URL of a PostgreSQL storage: postgresql://user@host/database.")
    ],
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 13000,
    host: Annotated[
        str, typer.Option(help="Address to listen on. The proxy has no log-in.")
    ] = "127.0.0.1",
) -> None:
    """Let workers share a storage through Optuna's proxy: they open grpc://HOST:PORT."""
    from optnas.storage.proxy import make_proxy

    server, port = make_proxy(storage, host, port)
    if host not in LOCAL:
        typer.echo("the proxy has no log-in: everyone who reaches it can delete studies", err=True)
    server.start()
    typer.echo(f"grpc://{host}:{port}  (Ctrl-C ends)")
    with until_interrupted():
        server.wait_for_termination()


def new(
    path: Annotated[Path, typer.Argument(help="The file to write, such as my_study.py.")],
) -> None:
    """Write a commented study file to start from; it runs as it is."""
    from optnas.search.study_file import bundled_folder

    if path.suffix != ".py":
        raise InputError(f"{path} must end in .py: a study file is a Python file")
    if os.path.lexists(path):
        raise InputError(f"{path} exists already; give another name")
    if not path.absolute().parent.is_dir():
        raise InputError(f"there is no folder {path.parent}: make it first")
    try:
        shutil.copyfile(bundled_folder() / "template.py", path)
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror}") from error
    typer.echo(f"wrote {path}; run it with: optnas run {path}")
