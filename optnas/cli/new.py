"""`optnas new`: a study file to start from."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import Annotated

import typer

from optnas.cli.console import echo
from optnas.errors import InputError
from optnas.utils.whole_file import not_written, whole_file


def new(
    path: Annotated[Path, typer.Argument(help="The file to write, such as my_study.py.")],
) -> None:
    """Write a commented study file to start from; it runs as it is."""
    from optnas.search.bundled import bundled_folder

    if path.suffix != ".py":
        raise InputError(f"{path} must end in .py: a study file is a Python file")
    if os.path.lexists(path):
        raise InputError(f"{path} exists already; give another name")
    if not path.absolute().parent.is_dir():
        raise InputError(f"there is no folder {path.parent}: make it first")
    try:
        with whole_file(path) as part:
            shutil.copyfile(bundled_folder() / "template.py", part)
    except OSError as error:
        raise not_written(path, error) from error
    echo(f"wrote {path}; run it with: optnas run {shlex.quote(str(path))}")
