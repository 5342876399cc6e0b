"""`optnas measure`: a trial's network, measured again; or the front, on another device."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optnas.cli.console import echo, resumable, show
from optnas.cli.options import AnyStudy, File, Name, Storage, Trial, Trust
from optnas.errors import InputError

if TYPE_CHECKING:  # they import torch, which takes a second
    from optnas.cli.study_argument import Opened
    from optnas.metrics import Metric
    from optnas.search.search import Search


def measure(
    study: AnyStudy,
    trial: Trial = None,
    front: Annotated[
        bool,
        typer.Option("--front", help="Measure the whole front, on another device (the next ones)."),
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(help="Measure the front on cpu, cuda, cuda:N or mps of this machine."),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            help="Measure it by a program that gets each network as an ONNX file ({onnx}), and "
            "prints milliseconds in its last line: as a number, as JSON, or as latency_ms=1.2."
        ),
    ] = None,
    runtime: Annotated[
        str | None, typer.Option(help="Measure it in another runtime: onnxruntime, or torch.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="What to call the other device.")] = None,
    replaces: Annotated[
        str | None,
        typer.Option(
            help="The objective whose place the other device's latency takes; by default the "
            "study's latency."
        ),
    ] = None,
    networks: Annotated[
        int | None,
        typer.Option(
            help="Measure this number of networks, if that is more than the front: others are "
            "added that are spread over the values of that objective."
        ),
    ] = None,
    predict: Annotated[
        bool,
        typer.Option(
            "--predict",
            help="Predict the other device's latency for all other networks, from at least 20 "
            "measured ones, with the error that this has.",
        ),
    ] = False,
    storage: Storage = None,
    name: Name = None,
    file: File = None,
    trust: Trust = False,
) -> None:
    """Measure a trial's network again layer by layer, or the front on another device.

    With --front, the results lie next to the study, in NAME_elsewhere, and the study stays as it
    is. What is measured once isn't measured again.
    """
    from optnas.cli.study_argument import open_study_argument

    if front:
        program = _program(trial, device, command, runtime)
        opened = open_study_argument(study, storage, name, file=file)
        search = opened.needed_search(trust=trust)
        metric = program or _metric(search, replaces, device, runtime)
        _measure_front(opened, search, metric, label or "", replaces, networks, predict)
        return
    given = {
        "--device": device,
        "--command": command,
        "--runtime": runtime,
        "--label": label,
        "--replaces": replaces,
        "--networks": networks,
        "--predict": predict or None,
    }
    if unused := next((option for option, value in given.items() if value is not None), None):
        raise InputError(f"{unused} is for the front on another device: give --front too")
    opened = open_study_argument(study, storage, name, file=file)
    _measure_trial(opened, trial, trust)


def _measure_trial(opened: Opened, trial: int | None, trust: bool) -> None:
    from optnas.cli.chosen_trial import chosen_trial
    from optnas.cli.network_tables import metrics_table
    from optnas.cli.study_argument import show_header
    from optnas.finished.measure import measure_again
    from optnas.pareto.find_trial import choose_trial
    from optnas.study.fingerprint import differences, listing
    from optnas.study.record import record_of

    search, found = opened.needed_search(trust=trust), opened.study
    show_header(search)
    objective = search.objective()
    changes = differences(record_of(found).fingerprint, search.fingerprint(objective))
    number = chosen_trial(found, trial)
    measured = measure_again(objective, choose_trial(found, number))
    echo(f"trial {measured.trial}: {measured.architecture}\n\n{measured.profile}\n")
    show(metrics_table(measured.metrics))
    if changes:
        echo(f"these are not the study's settings any more ({listing(changes)})", err=True)


def _measure_front(
    opened: Opened,
    search: Search,
    metric: Metric,
    label: str,
    replaces: str | None,
    networks: int | None,
    predict: bool,
) -> None:
    from optnas.cli.elsewhere_table import elsewhere_tables
    from optnas.finished.elsewhere import measure_elsewhere

    with resumable():
        found = measure_elsewhere(
            opened.study,
            search,
            metric,
            label=label,
            replaces=replaces,
            networks=networks,
            predict=predict,
        )
    for table in elsewhere_tables(found):
        show(table)
    for number, failure in found.failed.items():
        echo(f"trial {number} couldn't be measured there: {failure}", err=True)
    echo(found.text())


def _program(
    trial: int | None, device: str | None, command: str | None, runtime: str | None
) -> Metric | None:
    """The latency that a command measures; None for one that is measured here.

    It is made before the study file is imported, which may change the working directory.
    """
    if trial is not None:
        raise InputError(
            "--trial names one network, and --front all of the front: give one of them"
        )
    if command is None:
        if device is None and runtime is None:
            raise InputError("--front needs the other device: --device, --runtime or --command")
        return None
    if device is not None or runtime is not None:
        raise InputError("--command measures by itself: leave out --device and --runtime")
    from optnas.metrics import Latency

    try:
        return Latency.command(command)
    except ValueError as error:
        raise InputError(f"--command: {error}") from error


def _metric(
    search: Search, replaces: str | None, device: str | None, runtime: str | None
) -> Metric:
    """The study's own measurement on another device, or in another runtime.

    An objective that isn't measured in this way, such as flops, is replaced by a latency.
    """
    from optnas.metrics import Energy, Latency

    objective = search.objective()
    timed = [
        metric
        for metric in objective.metrics
        if isinstance(metric, (Latency, Energy))
        and metric.name in ([replaces] if replaces else objective.objectives)
    ]
    timed.sort(key=lambda metric: not isinstance(metric, Latency))
    own = timed[0] if timed else Latency()
    there: Any = {"device": device or own.device, "runtime": runtime or own.runtime}
    try:
        return replace(own, **there, label="")
    except ValueError as error:
        raise InputError(str(error)) from error
