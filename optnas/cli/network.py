"""Commands for one network of a study, and for those of its front."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optnas.cli.console import resumable, show
from optnas.cli.options import AcceptChanges, AnyStudy, Device, Name, Storage, Trial
from optnas.errors import InputError


def measure(
    study: AnyStudy,
    trial: Annotated[
        int | None,
        typer.Option(
            help="Number of the trial; by default the front's best in the first objective."
        ),
    ] = None,
    storage: Storage = None,
    name: Name = None,
) -> None:
    """Measure a trial's network again, and show it layer by layer."""
    from optnas.cli.network_tables import metrics_table
    from optnas.cli.study_argument import open_study_argument
    from optnas.finished.measure import measure_again
    from optnas.pareto.choose import choose_trial
    from optnas.study.record import differences, listing, record_of

    opened = open_study_argument(study, storage, name, with_search=True)
    search, found = opened.needed_search(), opened.study
    objective = search.objective()
    changes = differences(record_of(found).fingerprint, search.fingerprint(objective))
    measured = measure_again(objective, choose_trial(found, trial))
    typer.echo(f"trial {measured.trial}: {measured.architecture}\n\n{measured.profile}\n")
    show(metrics_table(measured.metrics))
    if changes:
        typer.echo(f"these are not the study's settings any more ({listing(changes)})", err=True)


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
    """Retrain a trial's network on all but the test part, and score it there.

    Seeds that are done already, with the same settings, aren't trained again.
    """
    from optnas.cli.network_tables import retrained_table
    from optnas.cli.study_argument import open_study_argument
    from optnas.cli.tables import search_line
    from optnas.finished.retrain import retrain
    from optnas.study.folders import retrained_folder
    from optnas.study.record import Overrides

    opened = open_study_argument(study, storage, name, with_search=True, writable=True)
    search, found = opened.needed_search(), opened.study
    search = search.override(Overrides(device=device))
    with resumable():
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
            help="onnx, pt2 (torch.export) or safetensors (weights alone); by default the "
            "ending of --output, else onnx."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The file; by default NAME_trialN next to the study's database."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="retrained or search; by default retrained, if there are any."),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(help="The only batch size that the file will accept; by default any."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    storage: Storage = None,
    name: Name = None,
    accept_changes: AcceptChanges = False,
) -> None:
    """Write a trial's network with trained weights to a file, with a model card next to it."""
    from optnas.cli.study_argument import open_study_argument
    from optnas.export import export_model

    opened = open_study_argument(study, storage, name, with_search=True)
    search, found = opened.needed_search(), opened.study
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
        int, typer.Option(help="Fresh evaluations of each network, earlier ones included.")
    ] = 3,
    trials: Annotated[
        str | None,
        typer.Option(help="Numbers of the trials, such as 3,7; by default the whole front."),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option(
            help="At most this number of networks: those that keep most of the hypervolume."
        ),
    ] = None,
    storage: Storage = None,
    name: Name = None,
    accept_changes: AcceptChanges = False,
) -> None:
    """Evaluate the front again with other seeds, to see which of its members were only lucky.

    Networks that were scored with shared weights are trained for real. Evaluations that are done
    already aren't repeated.
    """
    from optnas.cli.network_tables import confirmed_table, standing_line
    from optnas.cli.study_argument import open_study_argument
    from optnas.finished.confirm import confirm

    numbers = None if trials is None else _numbers(trials)
    opened = open_study_argument(study, storage, name, with_search=True, writable=True)
    search, found = opened.needed_search(), opened.study
    with resumable():
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
