"""The command line: parse, call, print."""

from __future__ import annotations

import io
import os
import shutil
import signal
import sys
import warnings
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from optnas.console import fail, show, until_interrupted, write_figure
from optnas.errors import InputError, Interrupted

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Search for neural architectures with many objectives: a study file in, a Pareto front "
    "out, everything kept in an Optuna study.",
)

storage_app = typer.Typer(no_args_is_help=True, help="Move studies between storages.")
app.add_typer(storage_app, name="storage")
LOCAL = ("127.0.0.1", "localhost", "::1")

StudyFile = Annotated[
    str, typer.Argument(help="A study file, or the name of a study that comes with optnas.")
]
AnyStudy = Annotated[
    str,
    typer.Argument(help="A study file, the name of a bundled study, or a storage URL."),
]
Name = Annotated[
    str | None, typer.Option(help="Name of the study, where the storage holds several.")
]
Storage = Annotated[
    str | None,
    typer.Option(help="Storage URL, such as sqlite:///study.db, in place of the file's."),
]
Trials = Annotated[
    int | None, typer.Option(help="COMPLETE trials to reach in all, not beside those there are.")
]
Hours = Annotated[
    float | None, typer.Option(help="Stop after this time; what is running is finished.")
]
Sampler = Annotated[
    str | None,
    typer.Option(
        help="How architectures are chosen: evolution, local_search, reinforce, random, tpe, "
        "nsgaii, nsgaiii, gp."
    ),
]
Seed = Annotated[
    int | None, typer.Option(help="Seeds sampler, weights and shuffling of a new study.")
]
Device = Annotated[
    str | None, typer.Option(help="Where to train and to measure: auto, cpu, cuda, cuda:N, mps.")
]
Epochs = Annotated[int | None, typer.Option(help="Epochs to train each network.")]
Workers = Annotated[
    int,
    typer.Option(
        help="Processes that run trials, each on one thread and on the next GPU; one that dies is "
        "replaced. Another `optnas run` of the same study, here or elsewhere, adds its own."
    ),
]
TrialTimeout = Annotated[
    float | None, typer.Option(help="Seconds after which a trial fails, and the next one begins.")
]
MaxFailures = Annotated[
    int | None,
    typer.Option(help="Stop when so many trials in a row fail for one reason; 3 by default."),
]
AcceptChanges = Annotated[
    bool,
    typer.Option("--accept-changes", help="Go on although settings differ from the study's."),
]


@app.command()
def run(
    study: StudyFile,
    trials: Trials = None,
    workers: Workers = 1,
    hours: Hours = None,
    storage: Storage = None,
    name: Name = None,
    sampler: Sampler = None,
    seed: Seed = None,
    device: Device = None,
    epochs: Epochs = None,
    trial_timeout: TrialTimeout = None,
    max_failures: MaxFailures = None,
    accept_changes: AcceptChanges = False,
) -> None:
    """Run a study, or go on with it.

    Options override the study file, and the study remembers them.
    """
    from optnas.opening import search_of
    from optnas.record import Overrides
    from optnas.running import run_search

    overrides = Overrides(trials, hours, sampler, seed, device, epochs, trial_timeout, max_failures)
    run_search(search_of(study, storage, name), overrides, workers, accept_changes)


@app.command()
def resume(
    storage: Annotated[str, typer.Argument(help="Storage URL, such as sqlite:///study.db.")],
    trials: Trials = None,
    workers: Workers = 1,
    hours: Hours = None,
    name: Name = None,
    file: Annotated[
        str | None, typer.Option(help="The study file, if it isn't where it was.")
    ] = None,
    sampler: Sampler = None,
    device: Device = None,
    epochs: Epochs = None,
    trial_timeout: TrialTimeout = None,
    max_failures: MaxFailures = None,
    accept_changes: AcceptChanges = False,
) -> None:
    """Go on with a study, from its storage alone.

    The study remembers its file, which is imported.
    """
    from optnas.opening import file_of, search_of
    from optnas.record import Overrides, find_study
    from optnas.running import run_search

    found = find_study(storage, name)
    path = file or file_of(found)
    typer.echo(f"study file: {path}", err=True)
    overrides = Overrides(trials, hours, sampler, None, device, epochs, trial_timeout, max_failures)
    run_search(search_of(path, storage, found.study_name), overrides, workers, accept_changes)


@app.command()
def status(study: AnyStudy, storage: Storage = None, name: Name = None) -> None:
    """Show how far a study is: trials, front, hypervolume, the best of each objective."""
    from optnas.opening import study_of
    from optnas.tables import status_table

    found, _ = study_of(study, storage, name)
    show(status_table(found))


@app.command()
def pareto(
    study: AnyStudy,
    x: Annotated[str | None, typer.Option(help="Objective on the horizontal axis.")] = None,
    y: Annotated[str | None, typer.Option(help="Objective on the vertical axis.")] = None,
    color: Annotated[str | None, typer.Option(help="Objective shown as colour.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write the figure to this file, which opens offline.")
    ] = None,
    storage: Storage = None,
    name: Name = None,
) -> None:
    """Show the Pareto front: as a table, and as a figure with --html."""
    from optnas.opening import study_of
    from optnas.plots import pareto_data
    from optnas.tables import front_table

    found, _ = study_of(study, storage, name)
    data = pareto_data(found, x, y, color)
    if html is not None and html.suffix not in (".html", ".htm"):
        raise InputError(f"--html {html} must end in .html: the file is overwritten")
    if html is not None and not html.absolute().parent.is_dir():
        raise InputError(f"there is no folder {html.parent}: make it first")
    show(front_table(found))
    if html is not None:
        write_figure(data, html)
        typer.echo(f"figure: {html}")


@app.command()
def measure(
    study: AnyStudy,
    trial: Annotated[
        int | None,
        typer.Option(
            help="Number of the trial; by default the front's best in its first objective."
        ),
    ] = None,
    storage: Storage = None,
    name: Name = None,
) -> None:
    """Measure a trial's network again, and show it layer by layer."""
    from optnas.measured import choose_trial, measure_again, metrics_table
    from optnas.opening import search_and_study
    from optnas.record import differences, listing, record_of

    search, found = search_and_study(study, storage, name)
    objective = search.objective()
    old = record_of(found).get("fingerprint", {})
    changes = differences(old, search.fingerprint(objective))
    measured = measure_again(objective, choose_trial(found, trial))
    typer.echo(f"trial {measured.trial}: {measured.architecture}\n\n{measured.profile}\n")
    show(metrics_table(measured.metrics))
    if changes:
        typer.echo(f"not the study's settings any more ({listing(changes)})", err=True)


@app.command()
def dashboard(
    study: AnyStudy,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8080,
    host: Annotated[
        str, typer.Option(help="Address to listen on. The dashboard has no log-in.")
    ] = "127.0.0.1",
    storage: Storage = None,
    name: Name = None,
) -> None:
    """Open the Optuna dashboard on a study."""
    from optnas.dashboard import make_dashboard
    from optnas.opening import study_of
    from optnas.record import weights_folder

    # Optuna's importance evaluators warn of small studies at every look at the page.
    warnings.simplefilter("ignore")
    found, url = study_of(study, storage, name)
    server = make_dashboard(found._storage, weights_folder(url, found.study_name), host, port)
    if host not in LOCAL:
        typer.echo("the dashboard has no log-in: whoever reaches it can delete studies", err=True)
    page = f"http://{host}:{server.server_port}/dashboard/studies/{found._study_id}"
    typer.echo(f"{page}  (Ctrl-C ends)")
    with until_interrupted():
        server.serve_forever()
    server.server_close()


@app.command()
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
    from optnas.proxy import make_proxy

    server, port = make_proxy(storage, host, port)
    if host not in LOCAL:
        typer.echo("the proxy has no log-in: whoever reaches it can delete studies", err=True)
    server.start()
    typer.echo(f"grpc://{host}:{port}  (Ctrl-C ends)")
    with until_interrupted():
        server.wait_for_termination()


@app.command()
def backup(
    study: AnyStudy,
    file: Annotated[Path, typer.Argument(help="The file to write, such as copy.db.")],
    storage: Storage = None,
    name: Name = None,
) -> None:
    """Copy a study's SQLite database, and the weights beside it, while workers write."""
    from optnas.copying import backup_study
    from optnas.opening import study_of

    found, url = study_of(study, storage, name)
    for line in backup_study(url, found.study_name, file):
        typer.echo(line)


@storage_app.command("copy")
def storage_copy(
    source: Annotated[str, typer.Argument(help="URL of the storage to copy from.")],
    target: Annotated[str, typer.Argument(help="URL of the storage to copy to.")],
    name: Name = None,
) -> None:
    """Copy a study whole to another storage: trials, states, attributes, curves, times."""
    from optnas.copying import copy_study

    for line in copy_study(source, target, name):
        typer.echo(line)


@app.command()
def new(
    path: Annotated[Path, typer.Argument(help="The file to write, such as my_study.py.")],
) -> None:
    """Write a commented study file to start from; it runs as it is."""
    from optnas.study_file import bundled_folder

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


@app.callback(invoke_without_command=True)
def _common(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        import optnas

        typer.echo(optnas.__version__)
        raise typer.Exit
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)


def main() -> None:
    """Runs the command line; bad input is one sentence and exit code 2."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), _leave)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a path may hold what the terminal can't show
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except InputError as error:
        fail(str(error), 2)
    except Exception as error:
        from optnas.storage import storage_message

        message = storage_message(error)
        if message is None:
            raise
        fail(message, 2)


def _leave(number: int, _frame: object) -> NoReturn:
    """Where nothing runs that would have to be put in order first."""
    typer.echo("optnas: interrupted", err=True)
    raise Interrupted(128 + number)
