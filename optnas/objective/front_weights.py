"""Keeps the trained weights of the front's members, and drops those of dominated ones.

`optnas.study.artifacts` writes and removes the files.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence

from optuna.study import Study
from optuna.trial import Trial, TrialState
from torch import nn

from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.evaluators.abilities import Rescoring
from optnas.evaluators.base import Evaluator
from optnas.evaluators.epoch_report import Report
from optnas.metrics import Metric
from optnas.pareto.dominance import losses, nondominated
from optnas.pareto.front import front
from optnas.study.artifacts import NAMED, NOT_KEPT, WeightStore

log = logging.getLogger("optnas")


def members_left(trial: Trial, values: Sequence[float]) -> set[int] | None:
    """The members that stay on the front if a trial joins it.

    Args:
        trial: The running trial, its constraints set.
        values: Its values.

    Returns:
        Their trial ids; None if the trial doesn't join: a bound is broken, or it is dominated.
    """
    if any(excess > 0 for excess in trial.constraints.values()):
        return None
    members = front(trial.study)
    points = losses([*(t.values for t in members), values], trial.study.directions)
    *stays, joins = nondominated(points)
    if not joins:
        return None
    return {t._trial_id for t, stay in zip(members, stays, strict=True) if stay}


def keep_weights(
    store: WeightStore, trial: Trial, values: Sequence[float], model: nn.Module
) -> None:
    """Keeps a trial's weights if it joins the front, and drops those of members it dominates."""
    left = members_left(trial, values)
    if left is None:
        return
    study: Study = trial.study
    # Another process may be about to finish its trial, and has kept that trial's weights already.
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    store.save(study, trial._trial_id, model)
    store.keep_only(study, left | {t._trial_id for t in running})


def keep_or_check(
    trial: Trial,
    candidate: Candidate,
    values: Sequence[float],
    store: WeightStore | None,
    estimated: Sequence[Metric],
) -> None:
    """Keeps the weights of a trial that joins the front, or checks what was estimated there.

    Args:
        trial: The running trial, its constraints set.
        candidate: Its candidate, trained.
        values: Its values.
        store: For the weights; None keeps none.
        estimated: Where scores stand in for a training, the metrics to check: there are no weights
            of the network's own then.
    """
    if estimated:
        if members_left(trial, values) is not None:
            for metric in estimated:
                metric.check(candidate)
    elif store is not None:
        try:
            keep_weights(store, trial, values, candidate.model)
        except Exception as error:  # a full disk, say: the values must not be lost with it
            name = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
            candidate.details["weights"] = f"{NOT_KEPT}{name}{error}"
            log.warning("trial %d: weights %s", trial.number, candidate.details["weights"])


def say_which_weights(
    trial: Trial,
    candidate: Candidate,
    evaluator: Evaluator,
    scores: Mapping[str, float],
    report: Report,
    *,
    told: bool,
) -> bool:
    """Notes on a trial what is known of the weights that its network has after the training.

    They need not be those of the scores: training code may return the scores of the best epoch, or
    of averaged weights. If it doesn't say so, its own curve may show it.

    Args:
        trial: The running trial.
        candidate: Its candidate, trained.
        evaluator: What trained it.
        scores: What the evaluator returned.
        report: What it reported.
        told: Whether the user was warned already.

    Returns:
        Whether the user was warned, now or before.
    """
    if report.names_weights:
        candidate.details["weights"] = NAMED
        return told
    if isinstance(evaluator, Rescoring) or evaluator.estimates or not report.curve:
        return told
    last = report.curve[-1]
    for name in evaluator.provides:
        if name in last and name in scores and not math.isclose(last[name], scores[name]):
            found = (
                f"perhaps those of another epoch than the scores: {name} is {scores[name]:.4g}, "
                f"and the last one that was reported is {last[name]:.4g}"
            )
            candidate.details["weights"] = found
            if not told:
                log.warning(
                    "trial %d: its weights are %s. Say in the training code which weights have the "
                    "scores: report.weights(model)",
                    trial.number,
                    found,
                )
            return True
    return told
