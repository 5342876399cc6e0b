"""How the command line prints, and how it ends."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import typer
from rich.console import Console, RenderableType

from optnas.errors import Interrupted


def show(table: RenderableType) -> None:
    """Prints a table as wide as the terminal; wide where there is none, for whole lines."""
    Console(width=None if sys.stdout.isatty() else 160).print(table)


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
        typer.echo("what is finished is kept: the same command continues from there", err=True)
        raise


def fail(message: str, code: int) -> NoReturn:
    """Prints what is wrong and exits."""
    typer.echo(f"optnas: {message}", err=True)
    sys.exit(code)
