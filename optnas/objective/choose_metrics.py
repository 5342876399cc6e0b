"""Checks an objective's settings, and chooses its metrics by the names that it is given."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from optnas.datasets.dataset import Dataset
from optnas.errors import InputError
from optnas.evaluators.abilities import data_of
from optnas.evaluators.base import Evaluator
from optnas.metrics import Metric, standard_metrics
from optnas.search_spaces import ParameterSpace, SearchSpace
from optnas.study.attributes import is_reserved
from optnas.study.objectives import Direction
from optnas.utils.code_hash import class_code
from optnas.utils.inputs import checked_inputs
from optnas.utils.text import there_are


def choose_metrics(
    objectives: Sequence[str],
    constraints: Mapping[str, float],
    metrics: Iterable[Metric],
    evaluator: Evaluator,
    space: SearchSpace[Any],
    device: str,
) -> tuple[list[Metric], dict[str, Direction]]:
    """The metrics to measure, and the direction of every known name.

    Measured are the metrics that an objective or a constraint names (unless the evaluator provides
    a score of that name), the given metrics, and params where there are networks.

    Args:
        objectives: Names of scores and metrics.
        constraints: Bounds by name.
        metrics: In addition to the standard ones, or instead of one with the same name.
        evaluator: Provides the scores.
        space: The search space; of a `ParameterSpace` only the given metrics can be measured.
        device: For the metrics that depend on it.

    Returns:
        The metrics, the cheapest first, and directions by name: those of all metrics and scores.

    Raises:
        ValueError: A name is unknown, taken, or given twice; a bound isn't finite, or is
            below all values of its metric.
        TypeError: An element of `metrics` is no metric.
    """
    given = by_metric_name(metrics)
    for name in given:
        if name in evaluator.provides:
            raise ValueError(f"a metric and a score of the evaluator are called {name!r}")
    standard = by_metric_name(standard_metrics())
    has_networks = not isinstance(space, ParameterSpace)
    available = (standard if has_networks else {}) | given
    known: dict[str, Direction] = {n: m.direction for n, m in available.items()}
    known |= evaluator.provides
    for name in (*objectives, *constraints):
        if name not in known and name in standard:
            raise InputError(
                f"{name} can't be measured in a ParameterSpace, which has no networks: give a "
                "space that builds them (ModelSpace, FunctionSpace), or let the command print what "
                f"it counts, and read that as a score called {name!r}"
            )
        if name not in known and name.removesuffix(".int8") in evaluator.provides:
            raise ValueError(
                f"unknown objective or constraint {name!r}: this evaluator scores networks in "
                "float32; optnas.Quantized(optnas.TrainingEvaluator(…)) scores them with 8-bit "
                "integers, too"
            )
        if name not in known:
            raise ValueError(
                f"unknown objective or constraint {name!r}; of this evaluator and these metrics "
                f"{there_are(name, sorted(known))}"
            )
    if len(set(objectives)) != len(objectives):
        raise ValueError(f"an objective stands twice in {tuple(objectives)}")
    check_names(known)
    measured = {n: m for n, m in available.items() if n not in evaluator.provides}
    check_bounds(constraints, measured)
    always = {"params"} if has_networks else set()
    wanted = {*always, *objectives, *constraints, *given} - set(evaluator.provides)
    return cheapest_first(available[name].on(device) for name in wanted), known


def by_metric_name(metrics: Iterable[Metric]) -> dict[str, Metric]:
    """Metrics by their names.

    Raises:
        ValueError: Two have one name.
        TypeError: One is no metric.
    """
    found: dict[str, Metric] = {}
    for metric in metrics:
        if not isinstance(metric, Metric):
            raise TypeError(
                f"metrics must be metrics, got {metric!r}: optnas.FunctionMetric(name, function) "
                "makes one of a function"
            )
        if metric.name in found:
            raise ValueError(
                f"two metrics are called {metric.name!r}: give one of them a label (label=…)"
            )
        found[metric.name] = metric
    return found


def cheapest_first(metrics: Iterable[Metric]) -> list[Metric]:
    """Metrics in the order in which they are measured."""
    return sorted(metrics, key=lambda m: (m.effort, not m.exact, m.name))


def check_names(names: Iterable[object]) -> None:
    """Raises ValueError unless these can be the names of scores and metrics."""
    for name in names:
        if not isinstance(name, str) or not name or is_reserved(name):
            raise ValueError(f"{name!r} can't be the name of a score or metric: optnas uses it")


def check_bounds(bounds: Mapping[str, float], metrics: Mapping[str, Metric]) -> None:
    """Raises ValueError unless all bounds are finite numbers that values of metrics may have."""
    for name, bound in bounds.items():
        if not isinstance(bound, (int, float)) or not math.isfinite(bound):
            raise ValueError(f"the bound on {name} must be a finite number, got {bound!r}")
        if name in metrics and bound < metrics[name].least:
            raise InputError(
                f"the bound on {name} is {bound:g}, and {name} is never below "
                f"{metrics[name].least:g}: give a larger one, or leave it out"
            )


def settings_of(
    metrics: Iterable[Metric], constraints: Mapping[str, float]
) -> Iterator[tuple[str, str]]:
    """The entries of a fingerprint that metrics and bounds have."""
    for name, bound in constraints.items():
        yield f"bound on {name}", str(bound)
    for metric in metrics:
        if code := class_code(metric):
            yield f"{metric.name}'s code", code
        for name, value in metric.fingerprint.items():
            yield f"{metric.name} {name}", str(value)


def check_settings(
    space: SearchSpace[Any],
    evaluator: Evaluator,
    objectives: Sequence[str],
    constraints: Mapping[str, float] | None,
    early_stop: bool,
) -> None:
    """Checks the settings of an objective that need no metrics.

    Raises:
        TypeError: A setting is of another type.
        ValueError: There are no objectives, or the space's inputs don't have the data's shape.
    """
    if not isinstance(early_stop, bool):
        raise TypeError(f"early_stop must be True or False, got {early_stop!r}")
    if not isinstance(space, SearchSpace):
        raise TypeError(f"space must be a SearchSpace, got {type(space).__name__}")
    if not isinstance(evaluator, Evaluator):
        raise TypeError(f"evaluator must be an Evaluator, got {type(evaluator).__name__}")
    if not isinstance(objectives, (list, tuple)) or not objectives:
        raise ValueError(
            f"objectives must be a tuple of names, got {objectives!r} (or a dictionary from names "
            "to directions)"
        )
    if not isinstance(constraints or {}, Mapping):
        raise TypeError(f"constraints must be bounds by name, got {constraints!r}")
    data, inputs = data_of(evaluator), checked_inputs(space.example_inputs)
    # Several inputs are compared where the first network runs: a step may call it otherwise.
    if (
        isinstance(data, Dataset)
        and isinstance(inputs, Tensor)
        and isinstance(data.train[0], Tensor)
    ):
        shape = tuple(inputs.shape)
        if shape != (1, *data.input_shape):
            raise ValueError(
                f"the search space takes inputs of shape {shape}, one example of {data.name} with "
                f"its batch dimension has (1, {', '.join(map(str, data.input_shape))})"
                + (": give one, x[:1]" if shape[1:] == data.input_shape else "")
            )
