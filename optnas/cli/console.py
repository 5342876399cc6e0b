"""How the command line prints, and how it ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import typer
from rich.console import RenderableType

from optnas.errors import Interrupted
from optnas.utils.terminal import Terminal, visible

PATIENCE = 10.0
"""Seconds that threads of the user's code have to end once the command has."""


def echo(text: str, *, err: bool = False) -> None:
    """Prints a line; what in it would control the terminal is shown instead."""
    typer.echo(visible(text), err=err)


def show(table: RenderableType) -> None:
    """Prints a table as wide as the terminal; wide where there is none, for whole lines."""
    Terminal(width=None if sys.stdout.isatty() else 160).print(table)


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


@contextmanager
def ending_without_threads() -> Iterator[None]:
    """Lets the program end after the block although a thread of the user's code doesn't end.

    Python waits for threads that aren't daemons, for ever if need be.
    """
    before = set(threading.enumerate())
    code = 1
    try:
        yield
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        raise
    finally:
        if _threads_since(before):
            threading.Thread(target=_end, args=(before, code), daemon=True).start()


def _threads_since(before: set[threading.Thread]) -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t not in before and not t.daemon]


def _end(before: set[threading.Thread], code: int) -> None:
    threading.main_thread().join()  # until the interpreter begins to end
    deadline = time.monotonic() + PATIENCE
    for thread in _threads_since(before):
        thread.join(max(deadline - time.monotonic(), 0))
    if left := _threads_since(before):
        names = ", ".join(thread.name for thread in left)
        echo(f"optnas: ends without waiting for threads of your code: {names}", err=True)
        sys.stdout.flush()
        os._exit(code)


def fail(message: str, code: int) -> NoReturn:
    """Prints what is wrong and exits."""
    echo(f"optnas: {message}", err=True)
    sys.exit(code)
