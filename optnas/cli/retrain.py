"""`optnas retrain`: a trial's network, trained on all but the test part."""

from __future__ import annotations

from typing import Annotated

import typer

from optnas.cli.console import echo, resumable, show
from optnas.cli.next_command import export_command, same_study
from optnas.cli.options import AcceptChanges, AnyStudy, Device, File, Name, Storage, Trial, Trust


def retrain(
    study: AnyStudy,
    trial: Trial = None,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs to train; the study's own by default.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="How many times, each from other weights.")] = 3,
    device: Device = None,
    storage: Storage = None,
    name: Name = None,
    file: File = None,
    trust: Trust = False,
    accept_changes: AcceptChanges = False,
) -> None:
    """Retrain a trial's network on all but the test part, and score it there.

    Seeds that are done already, with the same settings, aren't trained again.
    """
    from optnas.cli.chosen_trial import chosen_trial
    from optnas.cli.network_tables import retrained_table, search_line
    from optnas.cli.study_argument import open_study_argument, show_header
    from optnas.finished.retrain import retrain
    from optnas.study.folders import RETRAINED
    from optnas.study.record import Overrides

    opened = open_study_argument(study, storage, name, file=file)
    search, found = opened.needed_search(trust=trust), opened.writable_study()
    search = search.override(Overrides(device=device))
    show_header(search)
    number = chosen_trial(found, trial)
    with resumable():
        result = retrain(
            found, search, number, epochs=epochs, seeds=seeds, accept_changes=accept_changes
        )
    show(retrained_table(result))
    if line := search_line(found, number):
        echo(line)
    folder = search.files(found).path(RETRAINED)
    echo(f"weights and results in {opened.location.shown(folder)}")
    which = same_study(study, storage, name, file)
    echo(f"\nnext: optnas {export_command()} {which} --trial {number}")
