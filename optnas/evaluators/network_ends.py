"""Draws the largest or the smallest network of a search space, for the sandwich rule.

Source: Yu and Huang, Universally slimmable networks and improved training techniques, ICCV 2019
(arXiv 1903.05134).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from optnas.utils.draft import Draft


class _End(Draft):
    """Takes one end of every ordered choice, and draws the others at random."""

    end: ClassVar[Callable[..., Any]]

    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        if isinstance(distribution, IntDistribution):
            self._params.setdefault(name, type(self).end(distribution.low, distribution.high))
        elif isinstance(distribution, CategoricalDistribution) and all(
            isinstance(choice, (int, float)) and not isinstance(choice, bool)
            for choice in distribution.choices
        ):
            self._params.setdefault(name, type(self).end(distribution.choices))
        return super()._suggest(name, distribution)


class Largest(_End):
    """Takes the largest value of every ordered choice."""

    end = max


class Smallest(_End):
    """Takes the smallest value of every ordered choice."""

    end = min
