"""`optnas export`: a trial's network as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optnas.cli.console import echo
from optnas.cli.options import AcceptChanges, AnyStudy, File, Name, Storage, Trial, Trust


def export(
    study: AnyStudy,
    trial: Trial = None,
    format: Annotated[
        str | None,
        typer.Option(
            help="onnx, onnx-int8 (8-bit weights and activations), pt2 (torch.export) or "
            "safetensors (weights alone); by default the ending of --output, else onnx."
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
    dynamic: Annotated[
        list[str] | None,
        typer.Option(
            help="Another dimension that may vary, as INPUT:DIMENSION=NAME (input_ids:1=seq); may "
            "be given several times."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    storage: Storage = None,
    name: Name = None,
    file: File = None,
    trust: Trust = False,
    accept_changes: AcceptChanges = False,
) -> None:
    """Write a trial's network with trained weights to a file, with a model card next to it."""
    from optnas.cli.chosen_trial import chosen_trial
    from optnas.cli.study_argument import open_study_argument
    from optnas.export import export_model
    from optnas.export.dynamic import read_dynamic
    from optnas.export.model import checked_format
    from optnas.utils.text import named_numbers

    varies = read_dynamic(dynamic or [])
    checked_format(output, format=format, weights=weights, batch_size=batch_size, dynamic=varies)
    if output is not None:
        output = output.absolute()  # the study file may change the working directory
    opened = open_study_argument(study, storage, name, file=file)
    search, found = opened.needed_search(trust=trust), opened.study
    done = export_model(
        found,
        search,
        chosen_trial(found, trial),
        output,
        format=format,
        weights=weights,
        batch_size=batch_size,
        dynamic=varies,
        force=force,
        accept_changes=accept_changes,
    )
    echo(f"weights:    {done.weights}")
    if done.weights.origin:
        echo(f"scores:     {done.weights.origin}")
    echo(f"checked:    {done.agreement}")
    for part in done.int8.parts if done.int8 else ():
        echo(f"{part.part + ':':<11} {named_numbers({**part.network, **part.file}, ', ')}")
    if done.left_out:
        echo(f"left out:   {', '.join(done.left_out)}")
    echo(f"model:      {opened.location.shown(done.path)}")
    echo(f"model card: {opened.location.shown(done.card)}")
