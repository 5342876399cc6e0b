"""A person's own metric, made of a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, get_args

from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.metrics.base import Metric
from optnas.study.objectives import Direction
from optnas.utils.code_hash import code_hash


class FunctionMetric(Metric):
    """A name, a direction, and a function of the candidate.

    Args:
        name: What it is called in a study, with its unit where it has one.
        function: Given the candidate (`architecture`, `model`, `example_inputs`), returns a
            finite number. `candidate.to_measure()` is a copy of the model that it may run.
        direction: `minimize` or `maximize`.
        exact: Whether it depends on the architecture alone, not on initial weights or on the
            machine: then samplers may know it before training, and `best_model` checks it.

    Raises:
        ValueError: The name is empty, or the direction unknown.
        TypeError: `function` can't be called.
    """

    effort: ClassVar[int] = 3

    def __init__(
        self,
        name: str,
        function: Callable[[Candidate], float],
        direction: Direction = "minimize",
        *,
        exact: bool = False,
    ) -> None:
        if not name or not isinstance(name, str):
            raise ValueError(f"name must be a string that isn't empty, got {name!r}")
        if not callable(function):
            raise TypeError(f"function must be a function of a candidate, got {function!r}")
        if direction not in get_args(Direction):
            raise ValueError(f"direction must be minimize or maximize, got {direction!r}")
        self._name = name
        self._function = function
        self.direction = direction
        self.exact = exact

    @property
    def name(self) -> str:
        """What was given."""
        return self._name

    @property
    def fingerprint(self) -> dict[str, Any]:
        """A hash of the function's code; what it calls can't be compared."""
        return {"code": code_hash(self._function)}

    def measure(self, candidate: Candidate) -> float:
        """Calls the function; raises InputError unless it returns a number."""
        value = self._function(candidate)
        try:
            return float(value)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"the metric {self._name} must return a number, got {value!r}"
            ) from error
