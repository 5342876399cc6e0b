"""`optnas pick`: one network of the front."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from optnas.cli.console import echo, show
from optnas.cli.options import AnyStudy, Name, Storage, pairs


def pick(
    study: AnyStudy,
    at_most: Annotated[
        list[str] | None,
        typer.Option("--max", help="Upper limit, NAME=VALUE: latency_ms=2. May be given often."),
    ] = None,
    at_least: Annotated[
        list[str] | None,
        typer.Option("--min", help="Lower limit, NAME=VALUE: val_accuracy=0.9. Likewise."),
    ] = None,
    knee: Annotated[
        bool, typer.Option("--knee", help="The network closest to the best of everything.")
    ] = False,
    weights: Annotated[
        str | None,
        typer.Option(
            help="The largest weighted sum, each objective scaled to its range on the front: "
            "val_accuracy=1,flops=-0.1 (below 0 where less is better)."
        ),
    ] = None,
    storage: Storage = None,
    name: Name = None,
) -> None:
    """Pick a network of the front: within limits, by weights, or the knee.

    With limits alone it is the best in the study's first objective; without options, the knee.
    """
    from optnas.cli.pick_table import pick_table
    from optnas.cli.study_argument import read_snapshot
    from optnas.pareto.pick import pick as pick_member

    found = read_snapshot(study, storage, name)
    picked = pick_member(
        found,
        at_most=pairs("--max", at_most),
        at_least=pairs("--min", at_least),
        weights=pairs("--weights", weights.split(",") if weights else None),
        by_knee=knee,
    )
    echo(f"trial {picked.entry.trial.number}: {picked.entry.architecture}\n{picked.why}\n")
    show(pick_table(found, picked))
    number = picked.entry.trial.number
    echo(f"\nnext: optnas retrain {shlex.quote(study)} --trial {number}")
