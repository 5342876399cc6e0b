"""Commands for one network of a study."""

from __future__ import annotations

from typing import Annotated

import typer

from optnas.cli.options import AnyStudy, Name, Storage
from optnas.console import show


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
