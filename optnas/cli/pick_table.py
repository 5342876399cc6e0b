"""The table of a picked network."""

from __future__ import annotations

from optuna.study import Study
from optuna.trial import FrozenTrial
from rich.markup import escape
from rich.table import Table

from optnas.cli.front_table import besides_objectives
from optnas.pareto.noise import with_error
from optnas.pareto.pick import Pick, measured
from optnas.pareto.snapshot import Snapshot
from optnas.utils.text import number


def pick_table(study: Study | Snapshot, picked: Pick) -> Table:
    """A picked network's values, next to the best and the worst of those it was chosen from."""
    seen = Snapshot.of(study)
    trial = picked.entry.trial
    table = Table(box=None)
    for name in ("", "this", f"best of {picked.among}", "worst of these"):
        table.add_column(name, justify="right" if name else "left")
    names = seen.names
    for i, name in enumerate(names):
        by_loss = sorted(picked.chosen_from, key=lambda record: record.losses[i])
        of_row = (picked.entry, by_loss[0], by_loss[-1])
        table.add_row(escape(name), *(_shown(r.trial, name, r.values[i]) for r in of_row))
    known = {name: measured(names, trial, name) for name in besides_objectives(seen)}
    for name, value in known.items():
        if value is not None:
            table.add_row(escape(name), _shown(trial, name, value), style="dim")
    return table


def _shown(trial: FrozenTrial, name: str, value: float) -> str:
    return with_error(trial, name, value, number(value))
