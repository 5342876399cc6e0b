"""The hypervolume of a study's front, and how it grew."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.pareto.dominance import losses, nondominated
from optnas.pareto.front import feasible_trials
from optnas.pareto.hypervolume import is_exact
from optnas.pareto.reference_box import REFERENCE_TRIALS, Box, reference_box, spanning
from optnas.pareto.reference_limits import limits_text
from optnas.study.trial_order import in_order_of_completion
from optnas.utils.text import plural


def hypervolume(study: Study, complete: Sequence[FrozenTrial] | None = None) -> float | None:
    """The hypervolume of the front, in units of a box that the study's first trials span.

    The box reaches from the best to the worst value of each objective among the first 10 feasible
    COMPLETE trials with finite values (in the order of completion), widened by a tenth at the worst
    end. Where the study has a limit for an objective (see `Objective`), the box ends at the limit.
    Its worst corner is the reference point. It is kept in the study, so that later values can be
    compared; until there are 10 such trials, those that there are span the box. A front that covers
    the whole box has 1, and one that gets beyond its best corner has more. `optnas.compare`
    measures several studies in one box. With more than 5 objectives it is an approximation
    (`hypervolume_of`).

    Args:
        study: The study.
        complete: Its COMPLETE trials, if the caller has read them already.

    Returns:
        None for a single objective, and without a feasible COMPLETE trial that has finite values.
    """
    trials = feasible_trials(study, complete)
    box = _box(study, trials)
    if box is None:
        return None
    return box.volume(losses([t.values for t in trials], study.directions))


def hypervolume_meaning(study: Study, trials: Sequence[FrozenTrial]) -> str:
    """What a study's hypervolume is measured in, or why it has none: it stands next to the number.

    Args:
        study: The study.
        trials: Its feasible COMPLETE trials.
    """
    if len(study.directions) < 2:
        return "none for a single objective"
    if not trials:
        return "none without a feasible COMPLETE trial"
    first = len(spanning(trials))
    if not first:
        return "none: no feasible trial has a finite value of every objective"
    who = f"{'first ' if is_settled(trials) else ''}{plural(first, 'feasible trial')}"
    limits = limits_text(study, study.get_trials(deepcopy=False))
    approximate = "" if is_exact(len(study.directions)) else "; approximated beyond 5 objectives"
    return (
        f"1 = as good as one network with the best value of each objective among the {who}; more "
        f"is possible{f'; only networks with {limits} count' if limits else ''}{approximate}"
    )


def is_settled(trials: Sequence[FrozenTrial]) -> bool:
    """Whether there are enough trials for the box, which stays the same from then on.

    Args:
        trials: The feasible COMPLETE trials of a study.
    """
    finite = (t for t in trials if all(map(math.isfinite, t.values)))
    return len(list(islice(finite, REFERENCE_TRIALS))) == REFERENCE_TRIALS


def hypervolume_history(
    study: Study, most: int = 200, complete: Sequence[FrozenTrial] | None = None
) -> list[tuple[int, float]]:
    """How `hypervolume` grew: (feasible COMPLETE trials so far, hypervolume), by completion.

    All points of the history are measured in the box of the last one.

    Args:
        study: The study.
        most: The largest number of points, evenly spread; the first and the last are among them.
        complete: Its COMPLETE trials, if the caller has read them already.

    Returns:
        Empty where `hypervolume` is None.
    """
    trials = in_order_of_completion(feasible_trials(study, complete))
    box = _box(study, trials)
    if box is None:
        return []
    points = losses([t.values for t in trials], study.directions)
    found: list[tuple[int, float]] = []
    best = points[:0]
    start, volume = 0, 0.0
    for end in np.unique(np.linspace(1, len(points), most).round().astype(int)).tolist():
        joined = np.concatenate([best, points[start:end]])
        kept = nondominated(joined)
        if kept[len(best) :].any():
            volume = box.volume(joined[kept])
        found.append((end, volume))
        best, start = joined[kept], end
    return found


def _box(study: Study, trials: Sequence[FrozenTrial]) -> Box | None:
    return reference_box(study, trials) if len(study.directions) > 1 else None
