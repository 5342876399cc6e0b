"""A trial outside of any study, from which a space suggests an architecture."""

from __future__ import annotations

from random import Random
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FixedTrial

from optnas.utils.distributions import contains
from optnas.utils.draws import draw


class Draft(FixedTrial):
    """A trial outside of any study: it takes given values where they fit, and draws the others.

    Args:
        params: The given values, by parameter name.
        rng: Draws the other values.
    """

    def __init__(self, params: dict[str, Any], rng: Random) -> None:
        super().__init__(dict(params))
        self._rng = rng

    # Every `suggest_*` of FixedTrial calls this.
    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        if name not in self._params or not contains(distribution, self._params[name]):
            self._params[name] = draw(self._rng, distribution)
        return super()._suggest(name, distribution)
