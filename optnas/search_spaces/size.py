"""Counts the architectures of a define-by-run function, or estimates their number.

The choices form a tree. The leaves of a small tree are visited one by one. A larger one is
estimated by Knuth's method: along a random walk from the root to a leaf, the product of the
numbers of choices is an unbiased estimate of the number of leaves.

Source: D. E. Knuth, Estimating the efficiency of backtrack programs, Mathematics of Computation
29 (1975), 122-136.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial

from optnas.errors import exits_refused
from optnas.search_spaces.base import SearchSpace
from optnas.utils.distributions import option, options
from optnas.utils.random_state import seeded
from optnas.utils.silent import silent


@dataclass(frozen=True)
class SpaceSize:
    """The number of different settings of a space's parameters.

    Attributes:
        count: The number or its estimate; infinite if a parameter is continuous.
        error: The standard error as a share of the estimate; 0 if the settings were counted.
    """

    count: float
    error: float = 0.0

    def __str__(self) -> str:
        if math.isinf(self.count):
            return "infinite (a parameter is continuous)"
        if self.error == 0.0:
            return f"{self.count:,.0f}"
        return f"about {self.count:.1e} (± {self.error:.0%})"


def space_size(
    suggest: Callable[[BaseTrial], object],
    *,
    walks: int = 20_000,
    max_seconds: float = 1.0,
    seed: int = 0,
) -> SpaceSize:
    """Counts the settings that `suggest` can draw, or estimates their number.

    Example:
        ```python
        from optnas import NASBench201Space
        from optnas.search_spaces import space_size

        print(space_size(NASBench201Space().suggest))
        ```

    Args:
        suggest: Draws parameters from a trial, such as `space.suggest`.
        walks: A space of at most `walks / 10` settings is counted exactly; a larger one is
            estimated from this many random walks.
        max_seconds: Counting ends after half of this time, and walking after the other half.
        seed: Seeds the walks.

    Returns:
        The size with its standard error.
    """
    deadline = time.monotonic() + max_seconds / 2
    path: list[int] = []
    for count in range(1, walks // 10 + 1):
        walk = _Walk(_along(path))
        suggest(cast(BaseTrial, walk))
        if math.isinf(walk.leaves):
            return SpaceSize(math.inf)
        path = walk.path
        while path and path[-1] + 1 == walk.branching[len(path) - 1]:
            path.pop()
        if not path:
            return SpaceSize(count)
        path[-1] += 1
        if time.monotonic() > deadline:
            break

    rng = random.Random(seed)
    deadline = time.monotonic() + max_seconds / 2
    leaves: list[float] = []
    while len(leaves) < walks and (len(leaves) < 2 or time.monotonic() < deadline):
        walk = _Walk(lambda depth, n: rng.randrange(n))
        suggest(cast(BaseTrial, walk))
        leaves.append(walk.leaves)
    mean = math.fsum(leaves) / len(leaves)
    if math.isinf(mean):
        return SpaceSize(math.inf)
    variance = math.fsum((x / mean - 1) ** 2 for x in leaves) / (len(leaves) - 1)
    return SpaceSize(mean, math.sqrt(variance / len(leaves)))


def _along(path: list[int]) -> Callable[[int, int], int]:
    """Chooses along a path, and the first choice from its end on."""
    return lambda depth, n: path[depth] if depth < len(path) else 0


@dataclass
class _Walk:
    """Stands in for a trial: takes the choice with the index `choose(depth, number of choices)`."""

    choose: Callable[[int, int], int]
    path: list[int] = field(default_factory=list)
    branching: list[int] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    distributions: dict[str, BaseDistribution] = field(default_factory=dict)
    user_attrs: dict[str, Any] = field(default_factory=dict)
    number: int = 0

    @property
    def leaves(self) -> float:
        return math.prod((float(n) if n else math.inf) for n in self.branching)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._suggest(name, CategoricalDistribution(choices))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        return cast(int, self._suggest(name, IntDistribution(low, high, log=log, step=step)))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return cast(float, self._suggest(name, FloatDistribution(low, high, log=log, step=step)))

    def set_user_attr(self, key: str, value: Any) -> None:
        self.user_attrs[key] = value

    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        if name in self.params:
            return self.params[name]
        n = options(distribution)
        index = self.choose(len(self.path), n) if n else 0
        self.path.append(index)
        self.branching.append(n)
        self.distributions[name] = distribution
        self.params[name] = value = option(distribution, index)
        return value


def size_text(space: SearchSpace[Any]) -> str:
    """The number of architectures of a space in words, also if counting it fails."""
    try:
        with exits_refused(), seeded(0), silent():  # a FunctionSpace builds while it is counted
            return str(space_size(space.suggest))
    except Exception as error:  # the user's code failed, on an architecture that no trial asked for
        return f"unknown ({type(error).__name__} while counting: {error})"
