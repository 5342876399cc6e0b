"""Measures what is known of a candidate before its training, the cheapest first."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.trial import Trial

from optnas.candidate import Candidate
from optnas.evaluators.evaluation import finite
from optnas.metrics import Metric
from optnas.objective.bounds import Bounds
from optnas.objective.duplicates import Evaluated
from optnas.objective.outcome import Details
from optnas.storage.together import together


def measure_costs(
    trial: Trial,
    candidate: Candidate,
    metrics: Sequence[Metric],
    details: Details,
    evaluated: Evaluated,
    bounds: Bounds,
    *,
    check: bool,
) -> dict[str, float]:
    """Measures all metrics by name, and stores them on the trial, all at once.

    An architecture is timed once: a second latency would let noise decide between recipes. The
    trial has the interval of the first one, too.

    Args:
        trial: The running trial.
        candidate: Its candidate.
        metrics: The metrics, the cheapest first.
        details: How they are measured: those of the candidate. They are stored, too.
        evaluated: What was measured of earlier trials.
        bounds: A metric that breaks one ends the trial.
        check: Whether to check the counts afterwards (see `Metric.check`); that takes longer than
            an estimated score.

    Raises:
        optuna.TrialPruned: A bound is broken; later metrics aren't measured then.
    """
    measured = evaluated.measured(str(candidate), [m.name for m in metrics])
    fresh = [metric for metric in metrics if metric.name not in measured]
    details |= evaluated.details(str(candidate), measured)
    with together(trial):
        for metric in metrics:
            if metric in fresh:
                measured[metric.name] = finite(metric.name, metric.measure(candidate))
            details.store(trial)
            trial.set_user_attr(metric.name, measured[metric.name])
            bounds.enforce(trial, metric.name, measured[metric.name])
    if check:
        for metric in fresh:
            metric.check(candidate)
    return measured
