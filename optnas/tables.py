"""What the command line prints of a study."""

from __future__ import annotations

import math
from collections import Counter

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from rich.markup import escape
from rich.table import Table

from optnas.leases import age, is_abandoned
from optnas.pareto import feasible_trials, front, hypervolume, objective_names
from optnas.record import record_of
from optnas.text import definitions, duration, number
from optnas.trials import (
    ARCHITECTURE,
    BASELINE,
    DUPLICATE_OF,
    FAILURE,
    RECIPE,
    SEED,
    SURPLUS,
    is_lost,
    is_void,
)


def front_table(study: Study) -> Table:
    """The front, sorted by its first objective, the best first; other scores stand dimmed."""
    names = objective_names(study)
    sign = -1 if study.directions[0] == StudyDirection.MAXIMIZE else 1
    members = sorted(front(study), key=lambda t: sign * t.values[0])
    measured = {name for trial in members for name in names if name in trial.user_attrs}
    table = Table(
        title=escape(f"Pareto front of {study.study_name}"),
        title_justify="left",
        caption=definitions(measured) or None,
        caption_justify="left",
    )
    table.add_column("trial", justify="right")
    for name in names:
        table.add_column(escape(name), justify="right")
    scores = [name for name in record_of(study).get("scores", ()) if name not in names]
    for name in scores:
        table.add_column(escape(name), justify="right", style="dim")
    table.add_column("architecture", overflow="fold")
    recipes = [recipe_text(trial) for trial in members]
    if any(recipes):
        table.add_column("recipe", overflow="fold")
    for trial, recipe in zip(members, recipes, strict=True):
        values = [*trial.values, *(trial.user_attrs.get(name, math.nan) for name in scores)]
        row = [str(trial.number), *map(number, values), escape(_label(trial))]
        table.add_row(*row, *([escape(recipe)] if any(recipes) else []))
    return table


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
    for change in record.get("accepted", ()):
        table.add_row("mixed settings", escape(change))
    if "size" in record:
        table.add_row("search space", escape(f"{record['size']} architectures"))
    if SEED in study.user_attrs:
        table.add_row("seed", str(study.user_attrs[SEED]))
    for name, value in record.get("overrides", {}).items():
        table.add_row(f"--{name.replace('_', '-')}", str(value))
    if record.get("file"):
        table.add_row("study file", escape(record["file"]))
    return table


def failure_line(study: Study) -> str:
    """How many trials failed, and the most frequent reason; empty if none did."""
    reasons = Counter(
        str(t.user_attrs.get(FAILURE, "no reason given"))
        for t in study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
        if not is_void(t)
    )
    if not reasons:
        return ""
    reason, times = reasons.most_common(1)[0]
    return f"{reasons.total()} trials; most often ({times}): {reason}"


def state_of(trial: FrozenTrial) -> str:
    """The state of a trial; `lost` and `surplus` are no failures of its architecture."""
    if SURPLUS in trial.user_attrs:
        return "surplus"
    return "lost" if is_lost(trial) else trial.state.name


def _running(trial: FrozenTrial) -> str:
    gone = " (its process is gone)" if is_abandoned(trial) else ""
    return f"trial {trial.number} for {duration(age(trial))}{gone}"


def recipe_text(trial: FrozenTrial) -> str:
    """What was searched of the training; or what a person's own evaluator drew."""
    searched = {k: v for k, v in trial.params.items() if k.startswith("recipe.")}
    if searched:
        return " ".join(
            f"{k.removeprefix('recipe.')}={f'{v:.3g}' if isinstance(v, float) else v}"
            for k, v in searched.items()
        )
    recipe = str(trial.user_attrs.get(RECIPE, ""))
    return "" if recipe.startswith("Recipe(") else recipe


def _label(trial: FrozenTrial) -> str:
    if BASELINE in trial.user_attrs:
        return f"baseline {trial.user_attrs[BASELINE]}"
    return str(trial.user_attrs.get(ARCHITECTURE, trial.params))
