"""The table of a study's state."""

from __future__ import annotations

from collections import Counter

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from rich.markup import escape
from rich.table import Table

from optnas.pareto.baselines import baseline_standings
from optnas.pareto.find_trial import best_in
from optnas.pareto.held_bounds import bound_texts
from optnas.pareto.reference_limits import limits_text
from optnas.pareto.snapshot import Snapshot
from optnas.runs.failing import most_frequent_failure
from optnas.storage.place import place_of
from optnas.study.attributes import BASELINE, DUPLICATE_OF, PRUNED, SEED, is_without_result
from optnas.study.describe import state_of
from optnas.study.leases import age, is_abandoned
from optnas.study.record import record_of
from optnas.study.reference import stored_reference
from optnas.utils.text import architectures_text, duration, number, plural


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
        place = place_of(study._storage)
        table.add_row("running", escape(", ".join(_running(t, place) for t in running)))
    beyond = len(seen.beyond_reference)
    within = f", {len(seen.front) - beyond} of them within the reference" if beyond else ""
    table.add_row("front", f"{plural(len(seen.front), 'trial')}{within}")
    if len(seen.names) > 1 and (volume := seen.hypervolume_text()):
        table.add_row("hypervolume", escape(volume))
    for i, name in enumerate(seen.names if seen.feasible else ()):
        best = best_in(study, seen.feasible, i)
        table.add_row(escape(f"best {name}"), f"{number(best.values[i])} (trial {best.number})")
    if limits := limits_text(study, trials):
        table.add_row("reference", escape(limits + _since(study)))
    for text in bound_texts(trials, record.fingerprint):
        table.add_row("bound", escape(text))
    for standing in baseline_standings(seen):
        table.add_row(escape(f"baseline {standing.baseline.baseline}"), escape(standing.text()))
    for trial in filter(_is_untrained_baseline, trials):
        name, why = trial.user_attrs[BASELINE], trial.user_attrs.get(PRUNED, "a bound is broken")
        table.add_row(escape(f"baseline {name}"), escape(f"not trained: {why}"))
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
        table.add_row("search space", escape(architectures_text(record.size)))
    if SEED in study.user_attrs:
        table.add_row("seed", escape(str(study.user_attrs[SEED])))
    for option, value in record.overrides.as_options().items():
        table.add_row(escape(option), escape(value))
    if record.file:
        table.add_row("study file", escape(record.file))
    return table


def failure_line(study: Study | Snapshot) -> str:
    """The number of failed trials, and the most frequent reason; empty if none failed."""
    failed = [
        t
        for t in Snapshot.of(study).trials
        if t.state == TrialState.FAIL and not is_without_result(t)
    ]
    if not failed:
        return ""
    reason, times = most_frequent_failure(failed)
    return f"{plural(len(failed), 'trial')}; most often ({times}): {reason}"


def _is_untrained_baseline(trial: FrozenTrial) -> bool:
    broken = any(excess > 0 for excess in trial.constraints.values())
    return BASELINE in trial.user_attrs and trial.state == TrialState.PRUNED and broken


def _since(study: Study) -> str:
    """When the reference was changed, and what it was before; empty if it is the first one."""
    kept = stored_reference(study)
    return f" (since trial {kept.since}; before: {kept.before})" if kept and kept.before else ""


def _running(trial: FrozenTrial, place: str) -> str:
    gone = " (its process is gone)" if is_abandoned(trial, place) else ""
    return f"trial {trial.number} for {duration(age(trial))}{gone}"
