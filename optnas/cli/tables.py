"""What the command line prints of a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from rich.markup import escape
from rich.table import Table

from optnas.errors import InputError
from optnas.pareto.compare import Comparison
from optnas.pareto.confirmed import confirmed, standing
from optnas.pareto.entries import Entry, baselines, entries
from optnas.pareto.front import feasible_trials, front, why_no_front
from optnas.pareto.hypervolume import hypervolume
from optnas.pareto.pick import Pick, measured
from optnas.study.attributes import DUPLICATE_OF, FAILURE, SEED, has_inherited, is_without_result
from optnas.study.describe import recipe_text, state_of
from optnas.study.leases import age, is_abandoned
from optnas.study.objectives import maximized, objective_names
from optnas.study.record import record_of
from optnas.utils.text import definitions, duration, number

INHERITED = (
    "scores with inherited weights: they rank networks, and are worse than after training "
    "(`optnas confirm`)"
)
"""Stands under tables of such scores."""


def front_table(study: Study) -> Table:
    """The front, sorted by its first objective, the best first, and the baselines.

    One row for each architecture; scores that are no objectives stand dimmed.

    Raises:
        InputError: There is no feasible COMPLETE trial.
    """
    every = entries(study)
    beaten = {e.trial.number: by for e, by in baselines(study, every)}
    sign = -1 if maximized(study)[0] else 1
    rows = sorted(
        (e for e in every if e.on_front or e.baseline is not None),
        key=lambda e: (not e.on_front, sign * e.trial.values[0]),
    )
    if not rows:
        raise InputError(why_no_front(study))
    fresh = _fresh(study)
    names = objective_names(study)
    shown = {name for e in rows for name in names if name in e.trial.user_attrs}
    shared = has_inherited(study)
    again = "trained for real" if shared else "with fresh seeds"
    lines = [INHERITED if shared else "", baseline_line(study, every), definitions(shown)]
    table = Table(
        title=escape(f"Pareto front of {study.study_name}"),
        title_justify="left",
        caption="\n".join(filter(None, lines)) or None,
        caption_justify="left",
    )
    table.add_column("trial", justify="right")
    for name in names:
        table.add_column(escape(name), justify="right")
    scores = [name for name in record_of(study).scores if name not in names]
    for name in scores:
        table.add_column(escape(name), justify="right", style="dim")
    table.add_column("architecture", overflow="fold")
    further = {
        "recipe": [recipe_text(e.trial) for e in rows],
        "other trials": [", ".join(str(n) for n in e.trials if n != e.trial.number) for e in rows],
        "dominated by": [_few(beaten.get(e.trial.number, [])) for e in rows],
        again: [fresh.get(e.trial.number, "") for e in rows],
    }
    further = {name: texts for name, texts in further.items() if any(texts)}
    for name in further:
        table.add_column(name, overflow="fold")
    for i, entry in enumerate(rows):
        known = [measured(names, entry.trial, name) for name in (*names, *scores)]
        texts = ["–" if value is None else number(value) for value in known]
        more = [escape(column[i]) for column in further.values()]
        table.add_row(str(entry.trial.number), *texts, escape(entry.architecture), *more)
    return table


def _fresh(study: Study) -> dict[int, str]:
    """What fresh seeds say, by trial: means and deviations of what varies, and the verdict."""
    found = confirmed(study)
    texts = {}
    for member in standing(study) if found else ():
        spreads = zip(objective_names(study), found[member.trial].spreads, strict=False)
        varies = ", ".join(f"{name} {spread}" for name, spread in spreads if spread.deviation != 0)
        by = "" if member.by is None else f" (trial {member.by})"
        texts[member.trial] = f"{varies}{': ' * bool(varies)}{member.verdict}{by}"
    return texts


def search_line(study: Study, trial: int) -> str:
    """What the search said of a trial: its scores, on the validation part; empty without any."""
    names = record_of(study).scores
    attrs = study.get_trials(deepcopy=False)[trial].user_attrs
    scores = "  ".join(f"{name} {number(attrs[name])}" for name in names if name in attrs)
    weights = ", with inherited weights" if has_inherited(study) else ""
    return f"in the search{weights}: {scores}" if scores else ""


def baseline_line(study: Study, every: Sequence[Entry] | None = None) -> str:
    """Which baselines the front dominates, and which stand on it; empty without baselines."""
    found = baselines(study, every)
    on = [e.baseline for e, _ in found if e.on_front]
    beaten = [e.baseline for e, by in found if by]
    lines = []
    if beaten:
        lines.append(f"dominated by the front: {', '.join(map(str, beaten))}")
    if on:
        lines.append(f"on the front: {', '.join(map(str, on))}")
    return f"baselines {'; '.join(lines)}" if lines else ""


def pick_table(study: Study, picked: Pick) -> Table:
    """The values of a picked network, beside the best and the worst of the front."""
    trial = picked.entry.trial
    table = Table(box=None)
    for name in ("", "this", "best on the front", "worst"):
        table.add_column(name, justify="right" if name else "left")
    members = front(study)
    names = objective_names(study)
    for i, (name, more) in enumerate(zip(names, maximized(study), strict=True)):
        values = sorted((t.values[i] for t in members), reverse=more)
        table.add_row(escape(name), *map(number, (trial.values[i], values[0], values[-1])))
    known = {name: measured(names, trial, name) for name in record_of(study).scores}
    for name, value in known.items():
        if value is not None and name not in names:
            table.add_row(escape(name), number(value), style="dim")
    return table


def comparison_tables(found: Comparison) -> list[Table]:
    """Each study's front under the common objectives, and who dominates whom."""
    front = Table(title=f"compared by {escape(', '.join(found.names))}", title_justify="left")
    front.add_column("study", overflow="fold")
    about = "" if found.exact else " (approximate)"
    for name in ("trials", "front", "of it stands", f"hypervolume{about}"):
        front.add_column(name, justify="right")
    for name in found.names:
        front.add_column(f"best {escape(name)}", justify="right")
    for own in found.studies:
        standing = sum(member.stands for member in own.front)
        columns = zip(*(member.values for member in own.front), strict=True)
        best = [
            number(max(values) if more else min(values))
            for values, more in zip(columns, found.maximized, strict=True)
        ]
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


def status_table(study: Study) -> Table:
    """Trials by state, the front, the best of each objective, time per trial, size of the space."""
    trials = study.get_trials(deepcopy=False)
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
    table.add_row("front", f"{len(front(study))} trials")
    volume = hypervolume(study)
    if len(study.directions) > 1:
        table.add_row(
            "hypervolume", "after 10 feasible trials" if volume is None else f"{volume:.4f}"
        )
    feasible = feasible_trials(study)
    for i, (name, direction) in enumerate(
        zip(objective_names(study), study.directions, strict=True)
    ):
        if feasible:
            pick = max if direction == StudyDirection.MAXIMIZE else min
            best, of = pick((t.values[i], t.number) for t in feasible)
            table.add_row(escape(f"best {name}"), f"{number(best)} (trial {of})")
    seconds = [
        t.duration.total_seconds()
        for t in trials
        if t.state == TrialState.COMPLETE and t.duration and DUPLICATE_OF not in t.user_attrs
    ]
    if seconds:
        mean, total = sum(seconds) / len(seconds), sum(seconds)
        table.add_row("time per trial", f"{mean:.1f} s ({duration(total)} in all)")
    failures = failure_line(study)
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


def failure_line(study: Study) -> str:
    """How many trials failed, and the most frequent reason; empty if none did."""
    reasons = Counter(
        str(t.user_attrs.get(FAILURE, "no reason given"))
        for t in study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
        if not is_without_result(t)
    )
    if not reasons:
        return ""
    reason, times = reasons.most_common(1)[0]
    return f"{reasons.total()} trials; most often ({times}): {reason}"


def _running(trial: FrozenTrial) -> str:
    gone = " (its process is gone)" if is_abandoned(trial) else ""
    return f"trial {trial.number} for {duration(age(trial))}{gone}"
