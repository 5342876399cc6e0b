"""Your own metric, made of a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, get_args

from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.metrics.base import Metric
from optnas.study.objectives import Direction
from optnas.utils.code_hash import code_hash


class FunctionMetric(Metric):
    """A metric that a function computes from the candidate.

    Args:
        name: The metric's name in a study, with its unit where it has one.
        function: Takes the candidate (`architecture`, `model`, `example_inputs`) and returns a
            number; NaN or infinity fails the trial. It may run `candidate.to_measure()`, a copy of
            the model.
        direction: `minimize` or `maximize`.
        exact: Whether the value depends only on the architecture, not on initial weights or the
            machine. Samplers then use it before training, and `best_model` checks it.

    Raises:
        ValueError: The name is empty, or the direction unknown.
        TypeError: `function` can't be called.

    Example:
        ```python
        import optnas

        depth = optnas.FunctionMetric("depth", lambda c: len(list(c.model.modules())), exact=True)
        ```
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
        self._code = code_hash(function)
        self.direction = direction
        self.exact = exact

    @property
    def name(self) -> str:
        """The given name."""
        return self._name

    @property
    def fingerprint(self) -> dict[str, Any]:
        """A hash of the function's code, without the code that it calls."""
        return {"code": self._code}

    def measure(self, candidate: Candidate) -> float:
        """Calls the function.

        Raises:
            InputError: It doesn't return a number.
        """
        value = self._function(candidate)
        try:
            return float(value)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"the metric {self._name} must return a number, got {value!r}"
            ) from error
