"""Which metrics an objective measures, by the names that it is given."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from optnas.evaluators.base import Evaluator
from optnas.metrics import Metric, standard_metrics
from optnas.study.attributes import is_reserved
from optnas.study.objectives import Direction


def choose_metrics(
    objectives: Sequence[str],
    constraints: Mapping[str, float],
    metrics: Iterable[Metric],
    evaluator: Evaluator,
    device: str,
) -> tuple[list[Metric], dict[str, Direction]]:
    """The metrics to measure, the cheapest first, and the direction of everything known.

    Those that an objective or a constraint names and the evaluator doesn't provide, those that were
    given, and params.

    Args:
        objectives: Names of scores and metrics.
        constraints: Bounds by name.
        metrics: Beside, or instead of, the standard ones of the same name.
        evaluator: Provides scores.
        device: Where metrics that depend on a device measure.

    Raises:
        ValueError: A name is unknown, taken, or stands twice; a bound isn't finite.
        TypeError: Something among `metrics` is no metric.
    """
    given: dict[str, Metric] = {}
    for metric in metrics:
        if not isinstance(metric, Metric):
            raise TypeError(
                f"metrics must be metrics, got {metric!r}: optnas.FunctionMetric(name, function) "
                "makes one of a function"
            )
        if metric.name in given:
            raise ValueError(
                f"two metrics are called {metric.name!r}: give one of them a label (label=…)"
            )
        if metric.name in evaluator.provides:
            raise ValueError(f"a metric and a score of the evaluator are called {metric.name!r}")
        given[metric.name] = metric
    available = {metric.name: metric for metric in standard_metrics()} | given
    known: dict[str, Direction] = {n: m.direction for n, m in available.items()}
    known |= evaluator.provides
    for name in (*objectives, *constraints):
        if name not in known:
            raise ValueError(
                f"unknown objective or constraint {name!r}; this evaluator and these metrics "
                f"give: {', '.join(sorted(known))}"
            )
    if len(set(objectives)) != len(objectives):
        raise ValueError(f"an objective stands twice in {tuple(objectives)}")
    for name in known:
        if not isinstance(name, str) or not name or is_reserved(name):
            raise ValueError(f"{name!r} can't be the name of a score or metric: optnas uses it")
    for name, bound in constraints.items():
        if not isinstance(bound, (int, float)) or not math.isfinite(bound):
            raise ValueError(f"the bound on {name} must be a finite number, got {bound!r}")
    wanted = {"params", *objectives, *constraints, *given} - set(evaluator.provides)
    chosen = sorted(
        (available[name].on(device) for name in wanted),
        key=lambda m: (m.effort, not m.exact, m.name),
    )
    return chosen, known
