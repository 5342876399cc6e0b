"""Commands for one network of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optnas.cli.console import going_on, show
from optnas.cli.options import AcceptChanges, AnyStudy, Device, Name, Storage, Trial
from optnas.errors import InputError


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
    from optnas.cli.network_tables import metrics_table
    from optnas.cli.study_argument import search_and_study
    from optnas.finished.measure import measure_again
    from optnas.pareto.choose import choose_trial
    from optnas.study.record import differences, listing, record_of

    search, found = search_and_study(study, storage, name)
    objective = search.objective()
    old = record_of(found).get("fingerprint", {})
    changes = differences(old, search.fingerprint(objective))
    measured = measure_again(objective, choose_trial(found, trial))
    typer.echo(f"trial {measured.trial}: {measured.architecture}\n\n{measured.profile}\n")
    show(metrics_table(measured.metrics))
    if changes:
        typer.echo(f"not the study's settings any more ({listing(changes)})", err=True)


def retrain(
    study: AnyStudy,
    trial: Trial,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs to train; the study's own by default.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="How many times, each from other weights.")] = 3,
    device: Device = None,
    storage: Storage = None,
    name: Name = None,
    accept_changes: AcceptChanges = False,
) -> None:
    """Train a trial's network for good, on all but the test part, and judge it there.

    Seeds that are done already, with the same settings, aren't trained again.
    """
    from optnas.cli.network_tables import retrained_table
    from optnas.cli.study_argument import search_and_study_to_write
    from optnas.cli.tables import search_line
    from optnas.finished.retrain import retrain
    from optnas.study.folders import retrained_folder
    from optnas.study.record import Overrides

    search, found = search_and_study_to_write(study, storage, name)
    search = search.override(Overrides(device=device))
    with going_on():
        result = retrain(
            found, search, trial, epochs=epochs, seeds=seeds, accept_changes=accept_changes
        )
    show(retrained_table(result))
    if line := search_line(found, trial):
        typer.echo(line)
    typer.echo(f"weights and results in {retrained_folder(search.url, found.study_name)}")


def export(
    study: AnyStudy,
    trial: Trial,
    format: Annotated[
        str | None,
        typer.Option(
            help="onnx, pt2 (torch.export) or safetensors (weights alone); by default what "
            "--output ends in, else onnx."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The file; by default NAME_trialN beside the study's database."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="retrained or search; by default retrained, if there are any."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="The only one that the file will take; by default any.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    storage: Storage = None,
    name: Name = None,
    accept_changes: AcceptChanges = False,
) -> None:
    """Write a trial's network with trained weights to a file, and a model card beside it."""
    from optnas.cli.study_argument import search_and_study
    from optnas.export import export_model

    search, found = search_and_study(study, storage, name)
    done = export_model(
        found,
        search,
        trial,
        output,
        format=format,
        weights=weights,
        batch_size=batch_size,
        force=force,
        accept_changes=accept_changes,
    )
    typer.echo(f"weights:    {done.weights}")
    typer.echo(f"checked:    {done.agreement}")
    typer.echo(f"model:      {done.path}")
    typer.echo(f"model card: {done.card}")


def confirm(
    study: AnyStudy,
    seeds: Annotated[
        int, typer.Option(help="Fresh evaluations of each, those there are included.")
    ] = 3,
    trials: Annotated[
        str | None,
        typer.Option(help="Numbers of the trials, such as 3,7; by default the whole front."),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option(help="Of a larger front, so many: those that keep most of its hypervolume."),
    ] = None,
    storage: Storage = None,
    name: Name = None,
    accept_changes: AcceptChanges = False,
) -> None:
    """Evaluate the front again with other seeds: which of its members stand, which were lucky.

    Networks that were scored with shared weights are trained for real. What is done already isn't
    repeated.
    """
    from optnas.cli.network_tables import confirmed_table, standing_line
    from optnas.cli.study_argument import search_and_study_to_write
    from optnas.finished.confirm import confirm

    numbers = None if trials is None else _numbers(trials)
    search, found = search_and_study_to_write(study, storage, name)
    with going_on():
        confirm(
            found,
            search,
            trials=numbers,
            most=most,
            seeds=seeds,
            accept_changes=accept_changes,
        )
    show(confirmed_table(found))
    typer.echo(standing_line(found))


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f"--trials {text!r} must be numbers with commas, such as 3,7") from error
