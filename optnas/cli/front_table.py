"""The table of the front."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.study import Study
from rich.markup import escape
from rich.table import Table

from optnas.errors import InputError
from optnas.pareto.baselines import baseline_standings
from optnas.pareto.front import why_no_front
from optnas.pareto.noise import with_error
from optnas.pareto.pick import measured
from optnas.pareto.snapshot import Snapshot
from optnas.study.attributes import has_inherited
from optnas.study.describe import number_of, recipe_column
from optnas.study.record import record_of
from optnas.utils.text import definitions, number, ranges

WITHIN_NOISE = (
    "within noise of: that trial is surely better in something, and this one is ahead of it only "
    "by differences within noise (the ±)"
)
"""A line under tables with this column."""
INHERITED = (
    "scores with inherited weights: they rank networks, and are worse than after training "
    "(`optnas confirm`)"
)
"""A line under tables of such scores."""


def front_table(study: Study | Snapshot) -> Table:
    """The front, sorted by its first objective, the best first, and the baselines.

    It has a row for each network: an architecture, and each of its trials on the front. Scores
    that aren't objectives are dimmed. A member that another one dominates but for differences
    within noise names that one; one that is worse than the study's reference names the
    objectives.

    Raises:
        InputError: There is no feasible COMPLETE trial.
    """
    seen = Snapshot.of(study)
    rows = sorted(
        (r for r in seen.shown if r.on_front or r.baseline is not None),
        key=lambda r: (not r.on_front, r.losses[0]),
    )
    if not rows:
        raise InputError(why_no_front(seen.study))
    fresh = _fresh(seen)
    names = seen.names
    shown = {name for r in rows for name in names if name in r.trial.user_attrs}
    shared = has_inherited(seen.study)
    again = "trained for real" if shared else "with fresh seeds"
    recipes, recipe = recipe_column(r.trial for r in rows)
    noise = WITHIN_NOISE if seen.within_noise else ""
    lines = [recipe, noise, INHERITED if shared else "", baseline_line(seen), definitions(shown)]
    table = Table(
        title=escape(f"Pareto front of {seen.study.study_name}"),
        title_justify="left",
        caption=escape("\n".join(filter(None, lines))) or None,
        caption_justify="left",
    )
    table.add_column("trial", justify="right")
    for name in names:
        table.add_column(escape(name), justify="right")
    scores = besides_objectives(seen)
    for name in scores:
        table.add_column(escape(name), justify="right", style="dim")
    table.add_column("architecture", overflow="fold")
    further = {
        "recipe": recipes,
        "other trials": [ranges(r.others, 6) for r in rows],
        "dominated by": [_few(r.dominated_by) for r in rows],
        "within noise of": [str(seen.within_noise.get(r.number, "")) for r in rows],
        "beyond the reference in": [
            ", ".join(seen.beyond_reference.get(r.number, ())) for r in rows
        ],
        again: [fresh.get(r.number, "") for r in rows],
    }
    further = {name: texts for name, texts in further.items() if any(texts)}
    for name in further:
        table.add_column(name, overflow="fold")
    for i, row in enumerate(rows):
        known = [measured(names, row.trial, name) for name in (*names, *scores)]
        texts = [
            "–" if value is None else with_error(row.trial, name, value, number(value))
            for name, value in zip((*names, *scores), known, strict=True)
        ]
        more = [escape(column[i]) for column in further.values()]
        table.add_row(str(row.number), *texts, escape(row.architecture), *more)
    return table


def besides_objectives(study: Snapshot) -> list[str]:
    """Scores, and metrics with a bound, that are no objectives: they have a column in tables."""
    bounded = (name for record in study.architectures for name in record.trial.constraints)
    names = dict.fromkeys((*record_of(study.study).scores, *bounded))
    return [
        name
        for name in names
        if name not in study.names
        and any(number_of(r.trial, name) is not None for r in study.architectures)
    ]


def _fresh(study: Snapshot) -> dict[int, str]:
    """The results of fresh seeds by trial: spreads of the objectives that vary, and the verdict."""
    texts = {}
    for trial, standing in study.standing.items():
        spreads = zip(study.names, standing.member.spreads, strict=False)
        varies = ", ".join(f"{name} {spread}" for name, spread in spreads if spread.deviation != 0)
        by = "" if standing.by is None else f" (trial {standing.by})"
        texts[trial] = f"{varies}{': ' * bool(varies)}{standing.verdict}{by}"
    return texts


def baseline_line(study: Snapshot) -> str:
    """How each baseline stands against the front, a line each; empty without baselines."""
    return "\n".join(
        f"baseline {standing.baseline.baseline}: {standing.text()}"
        for standing in baseline_standings(study)
    )


def _few(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:5]))
    return f"{shown} and {len(numbers) - 5} more" if len(numbers) > 5 else shown
