"""Arguments and options that several commands take."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from optnas.cli import completion
from optnas.errors import InputError

LOCAL = ("127.0.0.1", "localhost", "::1")

AnyStudy = Annotated[
    str,
    typer.Argument(
        autocompletion=completion.studies,
        help="A study file, a study's name, the name of a bundled study, a database file or a "
        "storage URL.",
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        autocompletion=completion.names,
        help="Name of the study, where the storage holds several.",
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        autocompletion=completion.databases,
        help="Database file or storage URL, such as study.db, in place of the file's.",
    ),
]
Trial = Annotated[
    int | None,
    typer.Option(help="Number of the trial; by default the one that `optnas pick` takes."),
]
Trials = Annotated[
    int | None,
    typer.Option(
        help="Trials to reach in total, earlier ones included: COMPLETE, or stopped early."
    ),
]
Hours = Annotated[
    float | None, typer.Option(help="Stop after this time; running trials are finished.")
]
UntilFlat = Annotated[
    int | None,
    typer.Option(
        help="Stop once the last trials, this many, added less than 1 % to the hypervolume (with "
        "one objective: improved the best value by less than 1 % of its range); 0 for no such end."
    ),
]
Sampler = Annotated[
    str | None,
    typer.Option(
        autocompletion=completion.samplers,
        help="How architectures are chosen: predictor, evolution, local_search, reinforce, "
        "qlearning, gradient, random, tpe, nsgaii, nsgaiii, gp.",
    ),
]
Seed = Annotated[
    int | None, typer.Option(help="Seeds sampler, weights and shuffling of a new study.")
]
Device = Annotated[
    str | None,
    typer.Option(
        autocompletion=completion.devices,
        help="Where to train and measure: auto, cpu, cuda, cuda:N, mps.",
    ),
]
Epochs = Annotated[int | None, typer.Option(help="Epochs to train each network.")]
EarlyStop = Annotated[
    bool | None,
    typer.Option(
        "--early-stop/--no-early-stop",
        help="Whether to stop trainings that can't reach the front any more; off by default.",
    ),
]
EvaluatorName = Annotated[
    str | None,
    typer.Option(
        "--evaluator",
        autocompletion=completion.evaluators,
        help="How networks are scored: training (each by itself) or shared (all inherit weights "
        "that are trained once).",
    ),
]
TargetName = Annotated[
    str | None,
    typer.Option(
        "--target",
        help="A microcontroller, whose memory bounds the search: the name of a board, such as "
        "stm32f746, or ram_kb=256,flash_kb=900,macs=3e7 (kibibytes), or none.",
    ),
]
ReferencePoint = Annotated[
    str | None,
    typer.Option(
        "--reference",
        help="What is worse than this gains nothing: val_loss=0.3,latency_ms=1, or the name of a "
        "baseline, or none; by default the worst values of the baselines.",
    ),
]
WarmStart = Annotated[
    str | None,
    typer.Option(
        "--warm-start",
        help="An older study that the predictor learns from, too: its database file or URL, "
        "followed by #NAME where that holds several studies; or none.",
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        help="Processes that run trials, each on one thread and on the next GPU; a process that "
        "dies is replaced. Another `optnas run` of the same study, here or elsewhere, adds its own."
    ),
]
On = Annotated[
    str | None,
    typer.Option(
        help="Where to start the workers, if not on this machine: ray or slurm (extras of the same "
        "names)."
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        help="The Ray cluster: host:6379, or auto for the one of this machine; by default "
        "RAY_ADDRESS, else a Ray that ends with the run."
    ),
]
RayWorkingDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder with the study file that Ray copies to its nodes, where they don't share a "
        "file system."
    ),
]
GpusPerWorker = Annotated[
    float | None,
    typer.Option(
        help="GPUs of each worker on Ray, such as 0.5; by default all are shared evenly, one each "
        "at most."
    ),
]
SlurmSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--slurm",
        help="The jobs of SLURM: partition=gpu,time=4h,gpus=1; also cpus, mem, account, qos, "
        "constraint, reservation, exclude, nodelist. cluster=local tries it on this machine. May "
        "be given several times.",
    ),
]
Detach = Annotated[
    bool,
    typer.Option("--detach", help="End once the jobs of SLURM are submitted, and leave them."),
]
TrialTimeout = Annotated[
    float | None, typer.Option(help="Seconds after which a trial fails, and the next one begins.")
]
MaxFailures = Annotated[
    int | None,
    typer.Option(help="Stop after this number of failures in a row for one reason; 3 by default."),
]
File = Annotated[
    str | None,
    typer.Option("--file", help="The study file, where the study is a database or a URL."),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Import the study file that the database names, although you haven't used it before: "
        "this runs its code.",
    ),
]
AcceptChanges = Annotated[
    bool,
    typer.Option("--accept-changes", help="Continue although settings differ from the study's."),
]
SetOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting of the study file's space, evaluator or recipe, such as space.depth=1,4 or "
        "recipe.learning_rate=0.01; an empty value takes the file's again. Repeat it for several.",
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Write nothing and train no trial: show the size of the space, the costs of 20 random "
        "networks, how long the run would take, and what would be refused.",
    ),
]
OnX = Annotated[str | None, typer.Option("--x", help="Objective on the horizontal axis.")]
OnY = Annotated[str | None, typer.Option("--y", help="Objective on the vertical axis.")]
Html = Annotated[
    Path | None, typer.Option(help="Write the figure to this file, which opens offline.")
]


def check_figure(html: Path | None, options: Mapping[str, object]) -> None:
    """Raises InputError if no figure can be written there, or options want one without --html."""
    if html is None:
        unused = next((option for option, value in options.items() if value is not None), None)
        if unused:
            raise InputError(f"{unused} is for the figure: give --html too")
        return
    check_page("--html", html)


def check_page(option: str, path: Path) -> None:
    """Raises InputError unless a page may be written to the path that an option gives."""
    check_file(option, path, ".html", ".htm")


def check_file(option: str, path: Path, *endings: str) -> None:
    """Raises InputError unless a file of such an ending may be written to an option's path."""
    if path.suffix not in endings:
        raise InputError(f"{option} {path} must end in {endings[0]}: the file is overwritten")
    if not path.absolute().parent.is_dir():
        raise InputError(f"there is no folder {path.parent}: make it first")


def settings(texts: Sequence[str] | None) -> dict[str, str] | None:
    """The values of `--set` by name; None if there are none.

    Raises:
        InputError: A text isn't NAME=VALUE, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in texts or ():
        name, mark, value = (part.strip() for part in text.partition("="))
        if not name or not mark:
            raise InputError(f"--set {text!r} must be NAME=VALUE, such as space.depth=1,4")
        if name in found:
            raise InputError(f"--set is given twice for {name}: give all its values at once")
        found[name] = value
    return found or None


def pairs(option: str, texts: Sequence[str] | None) -> dict[str, float]:
    """The numbers that an option gives as NAME=VALUE, by name.

    Raises:
        InputError: A text isn't of that form, or a name comes twice.
    """
    found: dict[str, float] = {}
    for text in texts or ():
        name, _, value = (part.strip() for part in text.rpartition("="))
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not name or math.isnan(number):
            raise InputError(f"{option} {text!r} must be NAME=VALUE, such as latency_ms=2")
        if name in found:
            raise InputError(f"{option} is given twice for {name}")
        found[name] = number
    return found
