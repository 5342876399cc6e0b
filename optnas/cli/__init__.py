"""The command line: parse, call, print."""

from __future__ import annotations

import logging
import signal
import warnings
from typing import Annotated, NoReturn

import typer

from optnas.cli import (
    backup,
    compare,
    confirm,
    dashboard,
    export,
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
)
from optnas.cli.console import echo, fail
from optnas.cli.output import lasting_output
from optnas.errors import InputError, Interrupted
from optnas.utils.terminal import VisibleFormatter

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Search for neural architectures with many objectives: a study file in, a Pareto front "
    "out, everything kept in an Optuna study.",
)

storage_app = typer.Typer(no_args_is_help=True, help="Move studies between storages.")
app.add_typer(storage_app, name="storage")
app.command()(run.run)
app.command("resume", help=run.RESUME)(run.run)
for command in (
    status.status,
    pareto.pareto,
    pick.pick,
    report.report,
    compare.compare,
    measure.measure,
    retrain.retrain,
    export.export,
    confirm.confirm,
    dashboard.dashboard,
    serve.serve,
    backup.backup,
    new.new,
):
    app.command()(command)
storage_app.command("copy")(storage.storage_copy)


@app.callback(invoke_without_command=True)
def _common(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        import optnas

        echo(optnas.__version__)
        raise typer.Exit
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)


def main() -> None:
    """Runs the command line; bad input is one sentence and exit code 2."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), _leave)
    if logging.lastResort is not None:  # it prints warnings
        logging.lastResort.setFormatter(VisibleFormatter())
    with lasting_output():
        _run()


def _run() -> None:
    try:
        app()
    except InputError as error:
        fail(str(error), 2)
    except Exception as error:
        from optnas.storage.faults import storage_message

        message = storage_message(error)
        if message is None:
            raise
        fail(message, 2)


def _leave(number: int, _frame: object) -> NoReturn:
    """Ends the program at a signal. A run replaces this handler by its own (`optnas.runs.stop`)."""
    echo("optnas: interrupted", err=True)
    raise Interrupted(128 + number)
