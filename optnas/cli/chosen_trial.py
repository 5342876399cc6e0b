"""The trial that a command is about."""

from __future__ import annotations

from optuna.study import Study

from optnas.cli.console import echo


def chosen_trial(study: Study, trial: int | None) -> int:
    """The number that the option --trial gives; without it, that of `optnas pick`, which is said.

    Raises:
        InputError: There is nothing to pick from.
    """
    if trial is not None:
        return trial
    from optnas.pareto.pick import pick

    picked = pick(study)
    echo(f"trial {picked.entry.number}, as `optnas pick` does: {picked.why}", err=True)
    return picked.entry.number
