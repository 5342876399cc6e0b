"""An objective's evaluator and names in the short forms that people may give them in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from torch import nn

from optnas.errors import InputError
from optnas.evaluators.base import Evaluator
from optnas.evaluators.function import FunctionEvaluator, Train
from optnas.metrics import Metric, standard_metrics
from optnas.study.objectives import Direction, check_directions
from optnas.utils.code_hash import callable_name

Names = Sequence[str] | Mapping[str, Direction]
"""Objectives: their names, or each name with its direction."""


def as_given(
    evaluator: Evaluator | Train, objectives: Names, metrics: Iterable[Metric]
) -> tuple[Evaluator, Sequence[str]]:
    """The evaluator, made of a training function if that was given, and the objectives' names.

    Args:
        evaluator: What was given. What is neither is returned as it is.
        objectives: For a function, names with directions. Those that are no metrics are its scores.
        metrics: The metrics in addition to the standard ones.

    Raises:
        InputError: It is a function, and the objectives have no directions, or are metrics alone;
            a name is nearly that of a metric, but no metric; or a direction is another one than
            that of the metric or score.
    """
    named = {m.name: m.direction for m in (*standard_metrics(), *metrics) if isinstance(m, Metric)}
    given = check_directions("objectives", objectives) if isinstance(objectives, Mapping) else {}
    if not isinstance(evaluator, Evaluator) and _is_function(evaluator):
        if not given:
            raise InputError(
                "evaluator must be an Evaluator, or a function where each objective has its "
                f"direction; got the function {callable_name(evaluator)} and objectives "
                f"{objectives!r}: give objectives={_with_directions(objectives, named)}, with the "
                "directions of the scores that the function returns"
            )
        scores = {name: direction for name, direction in given.items() if name not in named}
        if not scores:
            raise InputError(
                f"evaluator is a function, and the objectives ({', '.join(given)}) are metrics "
                "alone: name a score that the function returns, too"
            )
        for name in scores:
            if near := get_close_matches(name.lower(), named, 1, 0.85):
                raise InputError(
                    f"there is no metric {name!r}; did you mean {near[0]!r}? For a score of that "
                    "name give optnas.FunctionEvaluator(function, …)"
                )
        evaluator = FunctionEvaluator(evaluator, scores)
    if isinstance(evaluator, Evaluator):
        known = named | dict(evaluator.provides)
        for name, direction in given.items():
            if known.get(name, direction) != direction:
                raise InputError(
                    f"the direction of {name} is {known[name]}, and objectives say {direction}: "
                    + ("correct one of them" if name in evaluator.provides else "correct that")
                )
    names = tuple(objectives) if isinstance(objectives, Mapping) else objectives
    return evaluator, names  # type: ignore[return-value]  # `check_settings` refuses other evaluators


def _with_directions(names: object, known: Mapping[str, str]) -> str:
    """The objectives with directions, as one may write them: "minimize" for what isn't known."""
    given = names if isinstance(names, (tuple, list)) else ("val_loss", "params")
    return str({str(n): known.get(str(n), "minimize") for n in given}).replace("'", '"')


def _is_function(evaluator: object) -> bool:
    return callable(evaluator) and not isinstance(evaluator, (type, nn.Module))
