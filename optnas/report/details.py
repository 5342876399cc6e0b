"""Everything about single trials, for the pane next to the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.snapshot import Snapshot
from optnas.report.confirmed import Again
from optnas.report.failures import ending, repeats
from optnas.report.measurements import how
from optnas.storage.place import place_of
from optnas.study.attributes import ARCHITECTURE, CURVE, DETAIL, DUPLICATE_OF, SEED, TRAIN_SECONDS
from optnas.study.describe import architecture_name, measurement_of, recipe_text, state_of
from optnas.study.seeds import derived_seed
from optnas.study.trial_order import Places
from optnas.utils.text import duration, plural

Detail = dict[str, Any]
"""All that is known of one trial; a key without a value is left out."""


def details(
    study: Snapshot,
    drawings: Mapping[int, str],
    fresh: Mapping[int, Again],
) -> list[Detail]:
    """All that is known of each trial, by number.

    Keys: `state`, `name`, `ending` (why it isn't an ordinary COMPLETE trial), `facts` (texts by
    label), `numbers` (name, value, how it was measured), `decisions` (parameters by name), `curve`
    (a list for `step` and for each score), `drawing` (SVG).
    """
    seed = study.study.user_attrs.get(SEED)
    places = Places()
    places.read(study.trials)
    repeated, place = repeats(study.trials), place_of(study.study._storage)
    return [
        _given(
            state=state_of(trial).lower(),
            name=architecture_name(trial),
            ending=None
            if (why := ending(trial, repeated, place)) is None
            else f"{why[1]}: {why[2]}",
            facts=_facts(trial, seed, places, fresh.get(trial.number)),
            numbers=_numbers(trial, study.names, fresh.get(trial.number)),
            decisions=trial.params,
            curve=_curve(trial),
            drawing=drawings.get(trial.number),
        )
        for trial in study.trials
    ]


def _given(**items: Any) -> Detail:
    return {key: value for key, value in items.items() if value}


def _facts(trial: FrozenTrial, seed: Any, places: Places, again: Again | None) -> dict[str, str]:
    attrs = trial.user_attrs
    facts = {}
    if again is not None:
        by = "" if again.by is None else f", dominated by trial {again.by}"
        facts["with fresh seeds"] = f"{again.verdict}{by} ({plural(again.seeds, 'seed')})"
    if DUPLICATE_OF in attrs:
        facts["values of"] = f"trial {attrs[DUPLICATE_OF]}"
    if recipe := recipe_text(trial):
        facts["training"] = recipe
    if type(seed) is int and ARCHITECTURE in attrs:
        drawn = derived_seed(seed, places.of(trial), "candidate")
        facts["seed of weights and order"] = str(drawn)
    if isinstance(attrs.get(TRAIN_SECONDS), (int, float)):
        facts["training took"] = f"{attrs[TRAIN_SECONDS]:.1f} s"
    if trial.datetime_start is not None:
        facts["began"] = f"{trial.datetime_start:%Y-%m-%d %H:%M:%S}"
    if trial.duration is not None:
        facts["trial took"] = duration(trial.duration.total_seconds())
    broken = {k: v for k, v in trial.constraints.items() if v > 0}
    for name, excess in broken.items():
        facts[f"beyond the bound on {name}"] = f"by {excess:.4g}"
    return facts


def _numbers(
    trial: FrozenTrial, names: Sequence[str], again: Again | None
) -> list[tuple[str, float, str]]:
    """Objectives first, then everything else that was measured."""
    spreads = dict(zip(names, again.spreads, strict=True)) if again else {}
    values: dict[str, float] = {}
    if trial.state == TrialState.COMPLETE and trial.values is not None:
        values = dict(zip(names, trial.values, strict=True))
    for name in trial.user_attrs:
        value = measurement_of(trial, name)
        if value is not None:
            values.setdefault(name, value)
    return [
        (name, value, _how(name, trial.user_attrs.get(f"{DETAIL}{name}"), spreads.get(name)))
        for name, value in values.items()
    ]


def _how(name: str, detail: Any, spread: str | None) -> str:
    parts = [how(name, detail) if detail else "", f"fresh seeds: {spread}" if spread else ""]
    return " · ".join(part for part in parts if part)


def _curve(trial: FrozenTrial) -> dict[str, list[float | None]]:
    """Scores by step; of plain Optuna, the intermediate values."""
    points = trial.user_attrs.get(CURVE)
    if not isinstance(points, list) or not all(isinstance(p, dict) for p in points):
        points = [{"step": s, "value": v} for s, v in sorted(trial.intermediate_values.items())]
    names = dict.fromkeys(name for point in points for name in point)
    return {name: [_rounded(point.get(name)) for point in points] for name in names}


def _rounded(value: Any) -> float | None:
    """Six digits: more than a drawn curve shows, in a third of the space."""
    return float(f"{value:.6g}") if isinstance(value, (int, float)) else None
