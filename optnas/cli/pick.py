"""`optnas pick`: one network of the front."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from optnas.cli.console import echo, show
from optnas.cli.next_command import export_command, same_study
from optnas.cli.options import AnyStudy, Name, Storage, pairs

if TYPE_CHECKING:  # they import torch and Optuna, which take seconds
    from optuna.trial import FrozenTrial

    from optnas.cli.study_argument import Opened


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
        bool, typer.Option("--knee", help="The network closest to the best of each objective.")
    ] = False,
    weights: Annotated[
        str | None,
        typer.Option(
            help="The largest weighted sum, each objective scaled to its range within the limits: "
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
    from optnas.cli.study_argument import open_study_argument
    from optnas.pareto.pick import pick as pick_member
    from optnas.study.describe import recipe_text

    opened = open_study_argument(study, storage, name, brief=True)
    found = opened.snapshot()
    picked = pick_member(
        found,
        at_most=pairs("--max", at_most),
        at_least=pairs("--min", at_least),
        weights=pairs("--weights", weights.split(",") if weights else None),
        by_knee=knee,
    )
    recipe = recipe_text(picked.entry.trial) if picked.entry.others else ""
    echo(f"trial {picked.entry.trial.number}: {picked.entry.architecture}")
    echo(f"recipe: {recipe}\n" * bool(recipe) + f"{picked.why}\n")
    show(pick_table(found, picked))
    if command := _next(opened, picked.entry.trial):
        which = same_study(study, storage, name)
        echo(f"\nnext: optnas {command} {which} --trial {picked.entry.trial.number}")


def _next(opened: Opened, trial: FrozenTrial) -> str:
    """The command that takes the network on: retrain if its evaluator can, else export.

    Without the extra onnx, which export's default format needs, it names another format.
    """
    if opened.retrains():
        return "retrain"
    from optnas.study.artifacts import TORCH_WEIGHTS, WEIGHTS, WeightStore

    kept = WeightStore("").kept(opened.study)
    if not kept & {(trial._trial_id, n) for n in (WEIGHTS, TORCH_WEIGHTS)}:
        return ""
    return export_command()
