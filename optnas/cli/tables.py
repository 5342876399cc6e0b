"""The tables and lines that the command line prints of a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from rich.markup import escape
from rich.table import Table

from optnas.errors import InputError
from optnas.pareto.compare import Comparison
from optnas.pareto.find_trial import best_in
from optnas.pareto.front import why_no_front
from optnas.pareto.pick import Pick, measured
from optnas.pareto.snapshot import Snapshot
from optnas.study.attributes import DUPLICATE_OF, FAILURE, SEED, has_inherited, is_without_result
from optnas.study.describe import recipe_text, state_of
from optnas.study.leases import age, is_abandoned
from optnas.study.record import record_of
from optnas.utils.text import definitions, duration, number

INHERITED = (
    "scores with inherited weights: they rank networks, and are worse than after training "
    "(`optnas confirm`)"
)
"""A line under tables of such scores."""


def front_table(study: Study | Snapshot) -> Table:
    """The front, sorted by its first objective, the best first, and the baselines.

    It has a row for each architecture. Scores that aren't objectives are dimmed.

    Raises:
        InputError: There is no feasible COMPLETE trial.
    """
    seen = Snapshot.of(study)
    rows = sorted(
        (r for r in seen.architectures if r.on_front or r.baseline is not None),
        key=lambda r: (not r.on_front, r.losses[0]),
    )
    if not rows:
        raise InputError(why_no_front(seen.study))
    fresh = _fresh(seen)
    names = seen.names
    shown = {name for r in rows for name in names if name in r.trial.user_attrs}
    shared = has_inherited(seen.study)
    again = "trained for real" if shared else "with fresh seeds"
    lines = [INHERITED if shared else "", baseline_line(seen), definitions(shown)]
    table = Table(
        title=escape(f"Pareto front of {seen.study.study_name}"),
        title_justify="left",
        caption="\n".join(filter(None, lines)) or None,
        caption_justify="left",
    )
    table.add_column("trial", justify="right")
    for name in names:
        table.add_column(escape(name), justify="right")
    scores = [name for name in record_of(seen.study).scores if name not in names]
    for name in scores:
        table.add_column(escape(name), justify="right", style="dim")
    table.add_column("architecture", overflow="fold")
    further = {
        "recipe": [recipe_text(r.trial) for r in rows],
        "other trials": [", ".join(map(str, r.others)) for r in rows],
        "dominated by": [_few(r.dominated_by) for r in rows],
        again: [fresh.get(r.number, "") for r in rows],
    }
    further = {name: texts for name, texts in further.items() if any(texts)}
    for name in further:
        table.add_column(name, overflow="fold")
    for i, row in enumerate(rows):
        known = [measured(names, row.trial, name) for name in (*names, *scores)]
        texts = ["–" if value is None else number(value) for value in known]
        more = [escape(column[i]) for column in further.values()]
        table.add_row(str(row.number), *texts, escape(row.architecture), *more)
    return table


def _fresh(study: Snapshot) -> dict[int, str]:
    """The results of fresh seeds by trial: spreads of the objectives that vary, and the verdict."""
    texts = {}
    for trial, standing in study.standing.items():
        spreads = zip(study.names, standing.member.spreads, strict=False)
        varies = ", ".join(f"{name} {spread}" for name, spread in spreads if spread.deviation != 0)
        by = "" if standing.by is None else f" (trial {standing.by})"
        texts[trial] = f"{varies}{': ' * bool(varies)}{standing.verdict}{by}"
    return texts


def search_line(study: Study, trial: int) -> str:
    """The scores of a trial in the search, on the validation part; empty without any."""
    names = record_of(study).scores
    attrs = study.get_trials(deepcopy=False)[trial].user_attrs
    scores = "  ".join(f"{name} {number(attrs[name])}" for name in names if name in attrs)
    weights = ", with inherited weights" if has_inherited(study) else ""
    return f"in the search{weights}: {scores}" if scores else ""


def baseline_line(study: Snapshot) -> str:
    """The baselines that the front dominates, and those on it; empty without baselines."""
    on = [str(record.baseline) for record in study.baselines if record.on_front]
    dominated = [str(record.baseline) for record in study.baselines if record.dominated_by]
    lines = []
    if dominated:
        lines.append(f"dominated by the front: {', '.join(dominated)}")
    if on:
        lines.append(f"on the front: {', '.join(on)}")
    return f"baselines {'; '.join(lines)}" if lines else ""


def pick_table(study: Study | Snapshot, picked: Pick) -> Table:
    """The values of a picked network, next to the best and the worst of the front."""
    seen = Snapshot.of(study)
    trial = picked.entry.trial
    table = Table(box=None)
    for name in ("", "this", "best on the front", "worst"):
        table.add_column(name, justify="right" if name else "left")
    names = seen.names
    for i, name in enumerate(names):
        best, worst = seen.extremes(i)
        table.add_row(escape(name), *map(number, (trial.values[i], best, worst)))
    known = {name: measured(names, trial, name) for name in record_of(seen.study).scores}
    for name, value in known.items():
        if value is not None and name not in names:
            table.add_row(escape(name), number(value), style="dim")
    return table


def comparison_tables(found: Comparison) -> list[Table]:
    """The fronts under the common objectives, and the share of each that another dominates."""
    front = Table(title=f"compared by {escape(', '.join(found.names))}", title_justify="left")
    front.add_column("study", overflow="fold")
    about = "" if found.exact else " (approximate)"
    for name in ("trials", "front", "of it stands", f"hypervolume{about}"):
        front.add_column(name, justify="right")
    for name in found.names:
        front.add_column(f"best {escape(name)}", justify="right")
    for own in found.studies:
        standing = sum(member.stands for member in own.front)
        leaders = (min(own.front, key=lambda m: m.losses[i]) for i in range(len(found.names)))
        best = [number(leader.values[i]) for i, leader in enumerate(leaders)]
        counts = (str(own.trials), str(len(own.front)), str(standing))
        front.add_row(escape(own.label), *counts, f"{own.hypervolume:.4f}", *best)
    whom = Table(title="share of a front that is dominated", title_justify="left")
    whom.add_column("by \\ front of", overflow="fold")
    for own in found.studies:
        whom.add_column(escape(own.label), justify="right")
    for own in found.studies:
        shares = [own.dominates.get(other.label) for other in found.studies]
        whom.add_row(escape(own.label), *("" if s is None else f"{s:.0%}" for s in shares))
    return [front, whom]


def _few(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:5]))
    return f"{shown} and {len(numbers) - 5} more" if len(numbers) > 5 else shown


def status_table(of: Study | Snapshot) -> Table:
    """Trials by state, the front, the best of each objective, time per trial, size of the space."""
    seen = Snapshot.of(of)
    study, trials = seen.study, seen.trials
    record = record_of(study)
    table = Table(show_header=False, box=None, title=escape(study.study_name), title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    states = Counter(map(state_of, trials))
    same = sum(DUPLICATE_OF in t.user_attrs for t in trials)
    listed = ", ".join(f"{n} {state}" for state, n in sorted(states.items())) or "none"
    table.add_row("trials", listed + (f" ({same} reused an earlier one's values)" if same else ""))
    running = [t for t in trials if t.state == TrialState.RUNNING]
    if running:
        table.add_row("running", escape(", ".join(map(_running, running))))
    table.add_row("front", f"{len(seen.front)} trials")
    volume = seen.hypervolume
    if len(seen.names) > 1:
        table.add_row(
            "hypervolume", "after 10 feasible trials" if volume is None else f"{volume:.4f}"
        )
    for i, name in enumerate(seen.names if seen.feasible else ()):
        best = best_in(study, seen.feasible, i)
        table.add_row(escape(f"best {name}"), f"{number(best.values[i])} (trial {best.number})")
    seconds = [
        t.duration.total_seconds()
        for t in trials
        if t.state == TrialState.COMPLETE and t.duration and DUPLICATE_OF not in t.user_attrs
    ]
    if seconds:
        mean, total = sum(seconds) / len(seconds), sum(seconds)
        table.add_row("time per trial", f"{mean:.1f} s ({duration(total)} in all)")
    failures = failure_line(seen)
    if failures:
        table.add_row("failures", escape(failures))
    for change in record.accepted:
        table.add_row("mixed settings", escape(change))
    if record.size:
        table.add_row("search space", escape(f"{record.size} architectures"))
    if SEED in study.user_attrs:
        table.add_row("seed", str(study.user_attrs[SEED]))
    for option, value in record.overrides.as_options().items():
        table.add_row(option, value)
    if record.file:
        table.add_row("study file", escape(record.file))
    return table


def failure_line(study: Study | Snapshot) -> str:
    """The number of failed trials, and the most frequent reason; empty if none failed."""
    reasons = Counter(
        str(t.user_attrs.get(FAILURE, "no reason given"))
        for t in Snapshot.of(study).trials
        if t.state == TrialState.FAIL and not is_without_result(t)
    )
    if not reasons:
        return ""
    reason, times = reasons.most_common(1)[0]
    return f"{reasons.total()} trials; most often ({times}): {reason}"


def _running(trial: FrozenTrial) -> str:
    gone = " (its process is gone)" if is_abandoned(trial) else ""
    return f"trial {trial.number} for {duration(age(trial))}{gone}"
