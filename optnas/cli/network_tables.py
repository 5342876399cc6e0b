"""The tables that the command line prints of single networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from optuna.study import Study
from rich.markup import escape
from rich.table import Table

from optnas.pareto.confirmed import Standing, standing
from optnas.pareto.dominance import losses
from optnas.pareto.snapshot import Snapshot
from optnas.study.attributes import has_inherited
from optnas.study.describe import architecture_name, facts_text
from optnas.study.recipe_text import shown_recipe
from optnas.study.record import record_of
from optnas.study.retrainings import Retrained
from optnas.utils.text import duration, number

if TYPE_CHECKING:  # it imports torch, which takes a second
    from optnas.finished.measure import Measured


def metrics_table(metrics: Sequence[Measured]) -> Table:
    """The stored value of each metric, its value now, and how that was measured."""
    table = Table(box=None, title="measured", title_justify="left", title_style="bold")
    table.add_column("metric")
    table.add_column("stored", justify="right")
    table.add_column("now", justify="right")
    table.add_column("how", overflow="fold", style="dim")
    for metric in metrics:
        stored, now = ("–" if v is None else number(v) for v in (metric.stored, metric.now))
        table.add_row(escape(metric.name), stored, now, escape(facts_text(metric.how)))
    return table


def retrained_table(result: Retrained) -> Table:
    """The scores of each seed, and their mean ± standard deviation."""
    spreads = result.spreads()
    table = Table(
        title=escape(f"trial {result.trial}: {result.runs[0].architecture}"),
        title_justify="left",
        caption=escape(shown_recipe(result.runs[0].recipe)),
        caption_justify="left",
    )
    table.add_column("seed", justify="right")
    for name in spreads:
        table.add_column(escape(name), justify="right")
    table.add_column("time", justify="right")
    table.add_column("weights" if spreads else "outcome", overflow="fold")
    for run in result.runs:
        values = [number(run.scores[n]) if n in run.scores else "–" for n in spreads]
        outcome = run.weights or run.failure
        table.add_row(str(run.number), *values, duration(run.train_seconds), escape(outcome))
    if spreads:
        table.add_section()
        table.add_row("mean", *map(str, spreads.values()), "", "")
    return table


def confirmed_table(study: Study) -> Table:
    """The confirmed trials: the search's values, mean ± deviation of fresh seeds, the verdict."""
    seen = Snapshot.of(study)
    before = "search, with inherited weights" if has_inherited(study) else "search"
    table = Table(
        title=escape(f"Confirmed members of the front of {study.study_name}"),
        title_justify="left",
        caption=f"{before} → {_fresh_values({found.member.n for found in seen.standing.values()})}",
        caption_justify="left",
    )
    table.add_column("trial", justify="right")
    for name in seen.names:
        table.add_column(escape(name), justify="right")
    table.add_column("seeds", justify="right")
    table.add_column("verdict")
    table.add_column("architecture", overflow="fold")
    for found in _best_first(seen):
        member = found.member
        spreads = member.spreads or ("–",) * len(seen.names)
        values = [
            number(was) if member.n and not again else f"{number(was)} → {now}"
            for was, now, again in zip(member.search, spreads, member.again, strict=True)
        ]
        architecture = architecture_name(seen.trials[found.trial])
        link = "to" if found.verdict == "falls" else "of"
        verdict = found.verdict if found.by is None else f"{found.verdict} {link} {found.by}"
        failed = f" of {len(member.tried)}" if member.failures else ""
        table.add_row(
            str(found.trial), *values, f"{member.n}{failed}", verdict, escape(architecture)
        )
    return table


def _fresh_values(seeds: Collection[int]) -> str:
    """What the values of fresh seeds are, by the numbers of seeds that the networks have."""
    if max(seeds, default=0) == 0:
        return "no fresh seed succeeded"
    several = "mean ± standard deviation over the fresh seeds alone"
    text = several if max(seeds) > 1 else "one fresh seed"
    no_spread = "; one seed gives no spread: --seeds 3 evaluates with more"
    return text + no_spread * (1 in seeds)


def _best_first(study: Snapshot) -> list[Standing]:
    """The confirmed trials by the mean of their first objective; failed ones last."""
    known = [found for found in study.standing.values() if found.member.n]
    means = losses([[s.mean for s in found.member.spreads] for found in known], study.directions)
    order = means[:, 0].argsort(kind="stable")
    failed = [found for found in study.standing.values() if not found.member.n]
    return [*(known[i] for i in order), *failed]


def standing_line(study: Study) -> str:
    """The number of the confirmed trials that stand, in one sentence."""
    found = standing(study)
    count = Counter(one.verdict for one in found)
    named = {
        "by one seed": count["stands by one seed"],
        "within noise": count["stands within noise"],
        "falls" if count["falls"] == 1 else "fall": count["falls"],
        "failed": count["failed"],
    }
    parts = [f"{count['stands']} of {len(found)} confirmed networks stand"]
    parts += [f"{number} {verdict}" for verdict, number in named.items() if number]
    repeated = [one.member for one in found if one.member.n > 1]
    noisy = any(spread.deviation > 0 for member in repeated for spread in member.spreads)
    still = "; every fresh seed gave the same values"
    return ", ".join(parts) + (still if repeated and not noisy else "")


def search_line(study: Study, trial: int) -> str:
    """The scores of a trial in the search, on the validation part; empty without any."""
    names = record_of(study).scores
    attrs = study.get_trials(deepcopy=False)[trial].user_attrs
    scores = "  ".join(f"{name} {number(attrs[name])}" for name in names if name in attrs)
    weights = ", with inherited weights" if has_inherited(study) else ""
    return f"in the search{weights}: {scores}" if scores else ""
