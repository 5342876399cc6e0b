"""How the command line prints, and how it ends."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.console import RenderableType

from optnas.errors import Interrupted
from optnas.utils.terminal import Terminal, visible
from optnas.utils.whole_file import not_written, whole_file

if TYPE_CHECKING:
    import plotly.graph_objects as go


def echo(text: str, *, err: bool = False) -> None:
    """Prints a line; what in it would control the terminal is shown instead."""
    typer.echo(visible(text), err=err)


def show(table: RenderableType) -> None:
    """Prints a table as wide as the terminal; wide where there is none, for whole lines."""
    Terminal(width=None if sys.stdout.isatty() else 160).print(table)


def write_figure(figure: go.Figure, path: Path) -> None:
    """Writes a figure that opens offline, whole or not at all."""
    try:
        with whole_file(path) as part:
            figure.write_html(part, include_plotlyjs=True, default_height="95vh")
    except OSError as error:
        raise not_written(path, error) from error


@contextmanager
def until_interrupted() -> Iterator[None]:
    """Lets Ctrl-C or SIGTERM end the server that runs in the block; that is no failure."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        yield


@contextmanager
def resumable() -> Iterator[None]:
    """Prints, if the block is interrupted, that nothing of it is lost."""
    try:
        yield
    except Interrupted:
        echo("what is finished is kept: the same command continues from there", err=True)
        raise


def fail(message: str, code: int) -> NoReturn:
    """Prints what is wrong and exits."""
    echo(f"optnas: {message}", err=True)
    sys.exit(code)
