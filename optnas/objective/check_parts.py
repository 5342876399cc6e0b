"""The check of an objective's parts, before anything is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optnas.evaluators.base import Evaluator
from optnas.search_spaces import SearchSpace


def check_parts(
    space: SearchSpace[Any],
    evaluator: Evaluator,
    objectives: Sequence[str],
    constraints: Mapping[str, float],
    early_stop: bool,
) -> None:
    """Raises TypeError or ValueError if a part is of the wrong kind, or two don't fit together.

    `Objective` calls it, and `Search` does as soon as it is made. Names are checked by
    `choose_metrics`.
    """
    if not isinstance(early_stop, bool):
        raise TypeError(f"early_stop must be True or False, got {early_stop!r}")
    if not isinstance(space, SearchSpace):
        raise TypeError(f"space must be a SearchSpace, got {type(space).__name__}")
    if not isinstance(evaluator, Evaluator):
        raise TypeError(f"evaluator must be an Evaluator, got {type(evaluator).__name__}")
    if not isinstance(objectives, (list, tuple)) or not objectives:
        raise ValueError(f"objectives must be a tuple of names, got {objectives!r}")
    if not isinstance(constraints, Mapping):
        raise TypeError(f"constraints must be bounds by name, got {constraints!r}")
    evaluator.check_inputs(space.example_inputs)
