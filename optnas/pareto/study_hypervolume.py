"""The hypervolume of a study's front, and how it grew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.pareto.dominance import losses, nondominated
from optnas.pareto.front import feasible_trials
from optnas.pareto.reference_box import reference_box
from optnas.study.trial_order import in_order_of_completion


def hypervolume(study: Study, complete: Sequence[FrozenTrial] | None = None) -> float | None:
    """The hypervolume of the front, as a share of a box that the study's first trials span.

    The box reaches from the best to the worst value of each objective among the first 10 feasible
    COMPLETE trials (in the order of completion), widened by a tenth at the worst end. Where the
    study has a limit for an objective (see `Objective`), the box ends at the limit. Its worst
    corner is the reference point. It is kept in the study, so that later values can be compared;
    a front that passes the best corner can have more than 1. With more than 5 objectives it is an
    approximation (`hypervolume_of`).

    Args:
        study: The study.
        complete: Its COMPLETE trials, if the caller has read them already.

    Returns:
        None until there are 10 such trials, and for a single objective.
    """
    trials = feasible_trials(study, complete)
    box = reference_box(study, trials)
    if box is None:
        return None
    return box.share(losses([t.values for t in trials], study.directions))


def hypervolume_history(
    study: Study, most: int = 200, complete: Sequence[FrozenTrial] | None = None
) -> list[tuple[int, float]]:
    """How `hypervolume` grew: (feasible COMPLETE trials so far, hypervolume), by completion.

    Args:
        study: The study.
        most: The largest number of points, evenly spread; the first and the last are among them.
        complete: Its COMPLETE trials, if the caller has read them already.

    Returns:
        Empty where `hypervolume` is None.
    """
    trials = in_order_of_completion(feasible_trials(study, complete))
    box = reference_box(study, trials)
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
            volume = box.share(joined[kept])
        found.append((end, volume))
        best, start = joined[kept], end
    return found
