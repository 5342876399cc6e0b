"""How much the latest trials added to a study, and whether it is flat: they added next to nothing.

A study with several objectives is measured by its hypervolume, one with a single objective by its
best value: with the study's constraints, and up to its reference.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.dominance import losses
from optnas.pareto.front import is_feasible
from optnas.pareto.hypervolume import volume_text
from optnas.pareto.reference_box import reference_box
from optnas.pareto.reference_limits import reference_limits
from optnas.pareto.study_hypervolume import is_settled
from optnas.study.attributes import is_counted
from optnas.study.objectives import objective_names
from optnas.study.trial_order import in_order_of_completion
from optnas.utils.text import number

FLAT = 0.01
"""A study is flat when its latest trials added less than this share."""


@dataclass(frozen=True)
class Growth:
    """What the latest trials added to a study.

    Attributes:
        last: How many trials these are.
        share: What they added to the hypervolume, as a share of that before them. With one
            objective: by how much they improved the best value, as a share of the range from the
            best value before them to the median of all, or to the reference if that is nearer. It
            is inf if no network lay within the reference before them.
        text: The same as a sentence, without its full stop.
    """

    last: int
    share: float
    text: str


def is_flat(study: Study, last: int) -> bool:
    """Whether the last trials that count added less than 1 %; False if that can't be told yet.

    Args:
        study: The study.
        last: How many trials; 0 for a study that is never flat.
    """
    found = growth(study, last) if last else None
    return found is not None and found.share < FLAT


def growth(study: Study, last: int) -> Growth | None:
    """What the last trials that count (see `is_counted`) added, in the order in which they ended.

    A network that breaks a bound or lies beyond the reference adds nothing.

    Args:
        study: The study.
        last: How many trials; at least 1.

    Returns:
        None unless more trials than these count, at least 10 are feasible and COMPLETE with finite
        values (before that, a hypervolume has no fixed unit), and one lies within the reference.
    """
    trials = study.get_trials(deepcopy=False)
    counted = in_order_of_completion([trial for trial in trials if is_counted(trial)])
    feasible = [t for t in counted if t.state == TrialState.COMPLETE and is_feasible(t)]
    if len(counted) <= last or not is_settled(feasible):
        return None
    latest = {trial.number for trial in counted[-last:]}
    earlier = [trial for trial in feasible if trial.number not in latest]
    if len(study.directions) == 1:
        return _of_best_value(study, last, earlier, feasible)
    return _of_hypervolume(study, last, earlier, feasible)


def _of_hypervolume(
    study: Study, last: int, earlier: Sequence[FrozenTrial], feasible: Sequence[FrozenTrial]
) -> Growth | None:
    box = reference_box(study, feasible)
    assert box is not None
    before, now = (
        box.volume(losses([t.values for t in trials], study.directions))
        for trials in (earlier, feasible)
    )
    if now == 0:
        return None
    if before == 0:
        return Growth(last, math.inf, _first(last))
    if now <= before:
        return Growth(last, 0.0, f"{_latest(last)} added nothing to the hypervolume")
    share = (now - before) / before
    what = f"to the hypervolume ({volume_text(before)} before, {volume_text(now)} now)"
    return Growth(last, share, f"{_latest(last)} added {share:.1%} {what}")


def _of_best_value(
    study: Study, last: int, earlier: Sequence[FrozenTrial], feasible: Sequence[FrozenTrial]
) -> Growth | None:
    limit = float(reference_limits(study, feasible)[0])
    old, every = (
        [
            loss
            for loss in losses([t.values for t in trials], study.directions)[:, 0].tolist()
            if math.isfinite(loss)
        ]
        for trials in (earlier, feasible)
    )
    before, now = min(old, default=math.inf), min(every)
    if now >= limit:
        return None
    if before >= limit:
        return Growth(last, math.inf, _first(last))
    best = f"the best {objective_names(study)[0]}"
    if now >= before:
        return Growth(last, 0.0, f"{_latest(last)} didn't improve {best}")
    extent = min(statistics.median(every), limit) - before
    share = (before - now) / extent if extent > 0 else math.inf
    by = f" by {share:.1%} of its range" if extent > 0 else ""
    was, is_now = losses([[before], [now]], study.directions)[:, 0].tolist()
    values = f"({number(was)} before, {number(is_now)} now)"
    return Growth(last, share, f"{_latest(last)} improved {best}{by} {values}")


def _latest(last: int) -> str:
    return "the last trial" if last == 1 else f"the last {last} trials"


def _first(last: int) -> str:
    return f"{_latest(last)} found the first networks within the reference"
