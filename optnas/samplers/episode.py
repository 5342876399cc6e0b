"""Draws one trial from a policy, parameter by parameter (part of `reinforce`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution

from optnas.samplers.ask import Ask
from optnas.samplers.policy import Action, Array, Policy
from optnas.utils.distributions import from_unit, option, option_number, options, stored, to_unit
from optnas.utils.draws import without

MOST_ACTIONS, BINS = 32, 16
"""An ordered range with more than 32 values is cut into 16 bins, one action each."""


class Episode:
    """Draws the parameters of one trial.

    Args:
        policy: The policy, which must not change meanwhile.
        preference: The weights of the objectives, of shape `(objectives,)`.
        ask: The trial.
    """

    def __init__(self, policy: Policy, preference: Array, ask: Ask) -> None:
        self._policy, self._preference, self._ask = policy, preference, ask
        self._state = np.zeros(policy.hidden)
        self._done: list[Action] = []

    def __call__(self, name: str, distribution: BaseDistribution) -> Any:
        """Draws the value of a parameter, given the decisions before it."""
        for decision in self._ask.decisions[len(self._done) :]:
            done = action(*decision)
            self._state, _ = self._step(done.name, done.actions)
            self._done.append(done)
        count = _count(distribution)
        log_p = self._step(name, count)[1]
        weights = np.exp(log_p).tolist()
        closed = self._ask.closed(name)
        rng = self._ask.rng(f"draw:{name}")
        if count == options(distribution):
            weights = without(weights, distribution, closed)
            return option(distribution, rng.choices(range(count), weights)[0])
        for _ in range(100):
            taken = rng.choices(range(count), weights)[0]
            value = from_unit(distribution, (taken + rng.random()) / count)
            if stored(distribution, value) not in closed:
                break
        return value

    def log_probability(self) -> float:
        """The log probability of all decisions of the trial."""
        actions = [action(*decision) for decision in self._ask.decisions]
        return self._policy.log_probability(actions, self._preference)

    def _step(self, name: str, count: int) -> tuple[Array, Array]:
        last = self._done[-1] if self._done else None
        return self._policy.step(self._state, last, name, count, self._preference)


def _count(distribution: BaseDistribution) -> int:
    n = options(distribution)
    if isinstance(distribution, CategoricalDistribution) or 1 <= n <= MOST_ACTIONS:
        return n
    return BINS


def action(name: str, distribution: BaseDistribution, value: Any) -> Action:
    """The action that corresponds to a decision."""
    count = _count(distribution)
    if count == options(distribution):
        return Action(name, count, option_number(distribution, value))
    return Action(name, count, min(int(count * to_unit(distribution, value)), count - 1))
