"""`optnas table`: the architectures of a study as a file for other programs."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from optnas.cli.console import echo
from optnas.cli.options import AnyStudy, Name, Storage, check_file


def table(
    study: AnyStudy,
    csv: Annotated[Path | None, typer.Option(help="Write this CSV file.")] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write this JSON file: a list of objects.")
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option(help="Write this Parquet file; needs pandas and pyarrow.")
    ] = None,
    front: Annotated[
        bool, typer.Option("--front", help="Only the networks of the Pareto front.")
    ] = False,
    storage: Storage = None,
    name: Name = None,
) -> None:
    """Write one row a network: all values, their 95 % intervals, and the choices that made it.

    Without a file, CSV goes to standard output.
    """
    from optnas.cli.rows_file import as_csv, write_csv, write_json, write_parquet
    from optnas.cli.study_argument import read_snapshot
    from optnas.errors import InputError
    from optnas.pareto.rows import architecture_rows
    from optnas.utils.text import plural

    files = [(csv, "csv", write_csv), (json, "json", write_json)]
    files.append((parquet, "parquet", write_parquet))
    wanted = []
    for path, kind, write in files:
        if path is not None:
            check_file(f"--{kind}", path, f".{kind}")
            wanted.append((path, path.absolute(), write))  # a study file may change the folder
    with redirect_stdout(sys.stderr):  # a study file may print, which is no CSV
        seen = read_snapshot(study, storage, name)
    rows = architecture_rows(seen, front=front)
    if not rows:
        raise InputError("there is no COMPLETE trial yet, so there are no rows")
    if not wanted:
        echo(as_csv(rows).rstrip("\n"))
    for path, target, write in wanted:
        write(rows, target)
        echo(f"{plural(len(rows), 'network')}: {path}")
