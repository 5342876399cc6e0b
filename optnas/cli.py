"""The command line: parse, call, print."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from optnas.errors import InputError

if TYPE_CHECKING:
    from optuna.study import Study

    from optnas.plots import ParetoData
    from optnas.record import Overrides
    from optnas.search import Search

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Search for neural architectures with many objectives: a study file in, a Pareto front "
    "out, everything kept in an Optuna study.",
)

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
AcceptChanges = Annotated[
    bool,
    typer.Option("--accept-changes", help="Go on although settings differ from the study's."),
]


@app.command()
def run(
    study: StudyFile,
    trials: Trials = None,
    hours: Hours = None,
    storage: Storage = None,
    name: Name = None,
    sampler: Sampler = None,
    seed: Seed = None,
    device: Device = None,
    epochs: Epochs = None,
    accept_changes: AcceptChanges = False,
) -> None:
    """Run a study, or go on with it.

    Options override the study file, and the study remembers them.
    """
    from optnas.opening import search_of
    from optnas.record import Overrides

    overrides = Overrides(trials, hours, sampler, seed, device, epochs)
    _run(search_of(study, storage, name), overrides, accept_changes)


@app.command()
def resume(
    storage: Annotated[str, typer.Argument(help="Storage URL, such as sqlite:///study.db.")],
    trials: Trials = None,
    hours: Hours = None,
    name: Name = None,
    file: Annotated[
        str | None, typer.Option(help="The study file, if it isn't where it was.")
    ] = None,
    sampler: Sampler = None,
    device: Device = None,
    epochs: Epochs = None,
    accept_changes: AcceptChanges = False,
) -> None:
    """Go on with a study, from its storage alone.

    The study remembers its file, which is imported.
    """
    from optnas.opening import file_of, search_of
    from optnas.record import Overrides, find_study

    found = find_study(storage, name)
    path = file or file_of(found)
    typer.echo(f"study file: {path}", err=True)
    overrides = Overrides(trials, hours, sampler, None, device, epochs)
    _run(search_of(path, storage, found.study_name), overrides, accept_changes)


@app.command()
def status(study: AnyStudy, storage: Storage = None, name: Name = None) -> None:
    """Show how far a study is: trials, front, hypervolume, the best of each objective."""
    from optnas.opening import study_of
    from optnas.tables import status_table

    found, _ = study_of(study, storage, name)
    Console(width=_width()).print(status_table(found))


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
    Console(width=_width()).print(front_table(found))
    if html is not None:
        _write_figure(data, html)
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
    from optnas.record import RECORD, differences, listing

    search, found = search_and_study(study, storage, name)
    objective = search.objective()
    old = found.user_attrs.get(RECORD, {}).get("fingerprint", {})
    changes = differences(old, search.fingerprint(objective))
    measured = measure_again(objective, choose_trial(found, trial))
    typer.echo(f"trial {measured.trial}: {measured.architecture}\n\n{measured.profile}\n")
    Console(width=_width()).print(metrics_table(measured.metrics))
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
    if host not in ("127.0.0.1", "localhost", "::1"):
        typer.echo("the dashboard has no log-in: whoever reaches it can delete studies", err=True)
    page = f"http://{host}:{server.server_port}/dashboard/studies/{found._study_id}"
    typer.echo(f"{page}  (Ctrl-C ends)")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


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


def main() -> None:
    """Runs the command line; bad input is one sentence and exit code 2."""
    # A job that a scheduler ends is interrupted, not killed: its trial is taken up again.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except InputError as error:
        _fail(str(error), 2)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except Exception as error:
        from optnas.storage import storage_fault

        reason = storage_fault(error)
        if reason is None:
            raise
        _fail(f"the storage failed ({reason}); what it held before is kept", 2)


def _run(search: Search, overrides: Overrides, accept_changes: bool) -> None:
    import optuna

    from optnas.progress import Progress, count_complete
    from optnas.tables import failure_line

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    remembered = search.remembered()
    kept = {k: v for k, v in remembered.given().items() if k not in overrides.given()}
    if kept:
        listed = " ".join(f"--{name} {value}" for name, value in kept.items())
        typer.echo(f"remembered from earlier runs: {listed}", err=True)
    search = search.override(remembered.updated(overrides))
    study = search.open(overrides=overrides, accept_changes=accept_changes)
    there = count_complete(study)
    if there:
        typer.echo(f"{there} of {search.trials} trials are COMPLETE already", err=True)
    try:
        with Progress(study, search.trials) as display:
            search.go_on(study, display, [display.epoch])
    except KeyboardInterrupt:
        _fail(
            f"interrupted with {count_complete(study)} of {search.trials} trials COMPLETE; they "
            f"are kept. Go on with: {_resume(search)}",
            130,
        )
    _summary(study, search)
    failures = failure_line(study)
    if failures:
        typer.echo(f"failures:      {failures}")
    if count_complete(study) < search.trials:
        typer.echo(f"the rest:      {_resume(search)}")
    else:
        typer.echo(f"more trials:   {_resume(search)} --trials {2 * search.trials}")
    typer.echo(f"dashboard:     optnas dashboard {shlex.quote(search.url)}{_name(search)}")


def _summary(study: Study, search: Search) -> None:
    """Prints the front, and draws it."""
    from optnas.pareto import front
    from optnas.plots import pareto_data
    from optnas.tables import front_table

    if not front(study):
        typer.echo("the front is empty: no feasible trial is COMPLETE")
        return
    Console(width=_width()).print(front_table(study))
    if len(study.directions) > 1:
        path = search.path("_front.html")
        _write_figure(pareto_data(study), path)
        typer.echo(f"figure:        {path}")


def _resume(search: Search) -> str:
    return f"optnas resume {shlex.quote(search.url)}{_name(search)}"


def _name(search: Search) -> str:
    """The option that tells the study from others of its storage, where it takes one."""
    from optnas.record import study_names

    return f" --name {shlex.quote(search.study_name)}" if len(study_names(search.url)) > 1 else ""


def _write_figure(data: ParetoData, path: Path) -> None:
    from optnas.plots import pareto_figure

    try:
        pareto_figure(data).write_html(path, include_plotlyjs=True, default_height="95vh")
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror}") from error


def _width() -> int | None:
    """The terminal's width; wide where there is none, so that a file gets whole lines."""
    return None if sys.stdout.isatty() else 160


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(f"optnas: {message}", err=True)
    sys.exit(code)
