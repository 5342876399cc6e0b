"""Draws one trial from a policy, parameter by parameter (part of `reinforce`).

The actions that a parameter has are those of `qlearning`, too.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        log_p = self._step(name, count_of(distribution))[1]
        return draw_action(self._ask, name, distribution, np.exp(log_p).tolist())

    def log_probability(self) -> float:
        """The log probability of all decisions of the trial."""
        actions = [action(*decision) for decision in self._ask.decisions]
        return self._policy.log_probability(actions, self._preference)

    def _step(self, name: str, count: int) -> tuple[Array, Array]:
        last = self._done[-1] if self._done else None
        return self._policy.step(self._state, last, name, count, self._preference)


def draw_action(
    ask: Ask, name: str, distribution: BaseDistribution, weights: Sequence[float]
) -> Any:
    """Draws an action by its weight, and returns a value of it.

    Actions that lead to nothing untried are skipped. Within a bin the value is uniform.

    Args:
        ask: The trial.
        name: The parameter's.
        distribution: The parameter's.
        weights: One for each action.
    """
    count, closed, rng = len(weights), ask.closed(name), ask.rng(f"draw:{name}")
    if count == options(distribution):
        return option(
            distribution, rng.choices(range(count), without(weights, distribution, closed))[0]
        )
    for _ in range(100):
        taken = rng.choices(range(count), weights)[0]
        value = from_unit(distribution, (taken + rng.random()) / count)
        if stored(distribution, value) not in closed:
            break
    return value


def count_of(distribution: BaseDistribution) -> int:
    """The number of actions of a parameter."""
    n = options(distribution)
    if isinstance(distribution, CategoricalDistribution) or 1 <= n <= MOST_ACTIONS:
        return n
    return BINS


def action(name: str, distribution: BaseDistribution, value: Any) -> Action:
    """The action that corresponds to a decision."""
    count = count_of(distribution)
    if count == options(distribution):
        return Action(name, count, option_number(distribution, value))
    return Action(name, count, min(int(count * to_unit(distribution, value)), count - 1))
