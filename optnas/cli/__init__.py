"""The command line: parse, call, print."""

from __future__ import annotations

import functools
import inspect
import logging
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from optnas.cli import (
    backup,
    compare,
    confirm,
    dashboard,
    export,
    fits,
    measure,
    new,
    pareto,
    pick,
    report,
    retrain,
    run,
    serve,
    status,
    storage,
    table,
)
from optnas.cli.console import echo, ending_without_threads, fail
from optnas.cli.output import lasting_output
from optnas.cli.usage import Command, UsageError, in_options, usage_message
from optnas.errors import CommandError, InputError, Interrupted, with_notes
from optnas.runs.stop import raised_again
from optnas.utils.terminal import VisibleFormatter

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Search for neural architectures with many objectives: a study file in, a Pareto front "
    "out, everything kept in an Optuna study.",
)

STORAGE = "Move studies between storages, and remove what deleted ones have left."
storage_app = typer.Typer(rich_markup_mode=None, help=STORAGE)
app.add_typer(storage_app, name="storage", short_help=STORAGE)


def _add(to: typer.Typer, command: Callable[..., None], name: str = "", text: str = "") -> None:
    """Adds a command, whose first paragraph stands whole in the list of commands."""
    text = text or inspect.getdoc(command) or ""
    short = " ".join(text.split("\n\n")[0].split())
    to.command(name or None, cls=Command, help=text, short_help=short)(command)


_add(app, run.run)
_add(app, run.run, "resume", run.RESUME)
for command in (
    status.status,
    pareto.pareto,
    pick.pick,
    report.report,
    table.table,
    compare.compare,
    fits.fits,
    measure.measure,
    retrain.retrain,
    export.export,
    confirm.confirm,
    dashboard.dashboard,
    serve.serve,
    backup.backup,
    new.new,
):
    _add(app, command)
_add(storage_app, storage.storage_copy, "copy")
_add(storage_app, storage.storage_clean, "clean")


@storage_app.callback(invoke_without_command=True)
def _storage(context: typer.Context) -> None:
    _help_without_command(context)


@app.callback(invoke_without_command=True)
def _common(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        import optnas

        echo(optnas.__version__)
        raise typer.Exit
    _help_without_command(context)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)


def _help_without_command(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        echo(context.get_help())
        raise typer.Exit(2)


def main() -> None:
    """Runs the command line; bad input is one sentence and exit code 2."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), _leave)
    if logging.lastResort is not None:  # it prints warnings
        logging.lastResort.setFormatter(VisibleFormatter())
    with ending_without_threads(), lasting_output(), raised_again():
        _run()


@functools.cache
def click_command() -> Any:
    """The command line as Click's commands, made once: typer would make them at each call."""
    return typer.main.get_command(app)


def _run() -> None:
    try:
        sys.exit(click_command()(prog_name="optnas", standalone_mode=False))
    except InputError as error:
        fail(in_options(error), 2)
    except CommandError as error:
        fail(with_notes(error), 1)
    except UsageError as error:
        fail(usage_message(error), 2)
    except Exception as error:
        from optnas.storage.faults import storage_message

        message = storage_message(error)
        if message is None:
            raise
        fail(in_options(message), 2)


def _leave(number: int, _frame: object) -> NoReturn:
    """Ends the program at a signal. A run replaces this handler by its own (`optnas.runs.stop`)."""
    echo("optnas: interrupted", err=True)
    raise Interrupted(128 + number)
