"""The columns of the parallel coordinates: the choice of columns, and the scale of each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from optnas.errors import InputError
from optnas.pareto.dominance import wants_log
from optnas.pareto.snapshot import Snapshot
from optnas.plots.importance import importance_data
from optnas.plots.scales import middle, placed, position, share
from optnas.plots.style import spread
from optnas.plots.texts import short, si
from optnas.utils.param_text import has_twin
from optnas.utils.text import number

LEVELS = 8
"""Whole numbers with up to 8 steps have a tick for each."""


class Axis(NamedTuple):
    """A column: its name, its ticks by position (0 to 1), the gap between levels.

    The gap is 0 where values are continuous. `more` tells whether more of an objective is better,
    whose better end has position 1; it is None for a decision.
    """

    name: str
    ticks: tuple[tuple[float, str], ...]
    gap: float
    conditional: bool
    more: bool | None


Scale = Callable[[FrozenTrial], float | None]
"""Where a trial crosses an axis; None if it has no such decision."""


def chosen_decisions(
    study: Snapshot, trials: Sequence[FrozenTrial], most: int
) -> tuple[list[str], int, str]:
    """The decisions to show, the number of all decisions, and the rule of the choice."""
    first: dict[str, object] = {}
    counts: Counter[str] = Counter()
    different: set[str] = set()
    for trial in trials:
        counts.update(trial.params.keys())
        for name, value in trial.params.items():
            if first.setdefault(name, value) != value:
                different.add(name)
    varied = [n for n in first if n in different or counts[n] < len(trials)] or list(first)
    if len(varied) <= most:
        return varied, len(first), "" if len(varied) == len(first) else "the others never vary"
    try:
        ranked = [d.name for d in importance_data(study).decisions if d.name in varied]
        rule = "the most important over all objectives, by PED-ANOVA"
    except InputError:  # too few trials to tell
        ranked, rule = varied, "the first that vary"
    kept = set(ranked[:most])
    return [name for name in varied if name in kept], len(first), rule


def decision_axis(name: str, trials: Sequence[FrozenTrial]) -> tuple[Axis, Scale]:
    """The column of a decision, over its whole range."""
    distributions = [t.distributions[name] for t in trials if name in t.distributions]
    conditional = len(distributions) < len(trials)
    different = list({id(d): d for d in distributions}.values())  # those of a storage are few
    different = list({repr(d): d for d in different}.values())
    if all(isinstance(d, (IntDistribution, FloatDistribution)) for d in different):
        ticks, gap, where = _numeric(different)
    else:
        ticks, gap, where = _levels(name, different, trials)

    def scale(trial: FrozenTrial) -> float | None:
        return where(trial.params[name]) if name in trial.params else None

    return Axis(name, ticks, gap, conditional, None), scale


Ticks = tuple[tuple[float, str], ...]


def _numeric(distributions: Sequence[Any]) -> tuple[Ticks, float, Callable[[Any], float]]:
    low, high = min(d.low for d in distributions), max(d.high for d in distributions)
    log = all(d.log for d in distributions)
    scale: Callable[[float], float] = math.log if log and low > 0 else float
    if high <= low:
        return ((0.5, number(low)),), 0.0, lambda _: 0.5

    def where(value: float) -> float:
        return share(scale(min(max(value, low), high)), scale(low), scale(high))

    steps = {d.step for d in distributions}
    step = steps.pop() if len(steps) == 1 and not log else None
    count = round((high - low) / step) + 1 if step else 0
    if step and 2 <= count <= LEVELS:
        values = [low + i * step for i in range(count)]
        return tuple((where(v), shown(v)) for v in values), 1 / (count - 1), where
    between = middle(low, high, log=log and low > 0)
    if all(isinstance(d, IntDistribution) for d in distributions):
        between = round(between)
    return tuple((where(v), shown(v)) for v in (low, between, high)), 0.0, where


def _levels(
    name: str, distributions: Sequence[BaseDistribution], trials: Sequence[FrozenTrial]
) -> tuple[Ticks, float, Callable[[Any], float]]:
    """An axis with a level for each choice, or for each value where distributions are mixed."""
    choices = [c for d in distributions for c in getattr(d, "choices", ())]
    choices += [t.params[name] for t in trials if name in t.params]
    # By `repr`, because two choices may have one text in short: 1 and "1", or long strings.
    levels = {repr(choice): choice for choice in choices}
    gap = 1 / max(len(levels) - 1, 1)
    places = {key: i * gap if len(levels) > 1 else 0.5 for i, key in enumerate(levels)}
    texts = (repr(c) if has_twin(c, levels.values()) else shown(c) for c in levels.values())
    ticks = spread(list(zip(places.values(), texts, strict=True)), 2 * LEVELS)
    return tuple(ticks), gap, lambda value: places[repr(value)]


def objective_axis(
    i: int, name: str, more: bool, trials: Sequence[FrozenTrial]
) -> tuple[Axis, Scale]:
    """The column of an objective, whose better end is above; infinite values lie at its ends."""
    values = [t.values[i] for t in trials]
    where = position(values)
    known = placed(values)
    ends = (min(known), max(known)) if known else ()
    marked = {*ends, middle(*ends, log=wants_log(known))} if ends else set()

    def up(value: float) -> float:
        return where(value) if more else 1 - where(value)

    ticks = tuple((up(v), si(v, 3)) for v in sorted(marked))
    return Axis(name, ticks, 0.0, False, more), lambda trial: up(trial.values[i])


def shown(value: object) -> str:
    """A parameter's value, in short."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return short(value, 30)
