"""Draws one trial from a policy, parameter by parameter (part of `reinforce`).

The actions that a parameter has are those of `qlearning`, too.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution

from optnas.samplers.ask import Ask
from optnas.samplers.policy import Action, Array, Policy
from optnas.utils.distributions import (
    as_key,
    contains,
    from_unit,
    option,
    option_number,
    options,
    to_unit,
)
from optnas.utils.draws import COUNTED, TRIES, numbers_of, without

ATTEMPTS = 100
"""How often a trial is drawn at most until it leads to something untried."""
MOST_ACTIONS, BINS = 32, 16
"""An ordered range with more than 32 values is cut into 16 bins, one action each."""


class Episode:
    """Draws the parameters of one trial.

    If what it draws was tried, it draws the whole trial again, and again, until it comes to
    something untried. The first attempt has the policy's probabilities; each further one is closer
    to a random architecture by a hundredth. Skipping tried values decision by decision would not
    do: near an architecture that was tried, the last decision alone would then change.

    Args:
        policy: The policy, which must not change meanwhile.
        preference: The weights of the objectives, of shape `(objectives,)`.
        ask: The trial.
        known: The distributions of the parameters of tried architectures.
    """

    def __init__(
        self,
        policy: Policy,
        preference: Array,
        ask: Ask,
        known: Mapping[str, BaseDistribution],
    ) -> None:
        self._policy, self._preference, self._ask = policy, preference, ask
        self._state = np.zeros(policy.hidden)
        self._done: list[Action] = []
        attempts = (n for n in range(ATTEMPTS) if not self._repeats(n, known))
        self._attempt = next(attempts, 0)

    def __call__(self, name: str, distribution: BaseDistribution) -> Any:
        """Draws the value of a parameter, given the decisions before it."""
        if len(self._ask.decisions) < len(self._done):  # the trial was only rehearsed
            self._state, self._done = np.zeros(self._policy.hidden), []
        for decision in self._ask.decisions[len(self._done) :]:
            done = action(*decision)
            self._state, _ = self._step(self._state, self._done, done.name, done.actions)
            self._done.append(done)
        _, weights = self._step(self._state, self._done, name, count_of(distribution))
        value = self._draw(name, distribution, weights, self._attempt)
        if as_key(distribution, value) in self._ask.closed(name, distribution):
            return draw_action(self._ask, name, distribution, weights)
        return value

    def _repeats(self, attempt: int, known: Mapping[str, BaseDistribution]) -> bool:
        """Whether all that an attempt leads to was tried."""
        node, state, done = self._ask.tried, np.zeros(self._policy.hidden), list[Action]()
        while node.forks and not node.closed:
            name = node.next
            if name not in known:  # another worker was the first to draw it
                return False
            distribution = known[name]
            state, weights = self._step(state, done, name, count_of(distribution))
            value = self._draw(name, distribution, weights, attempt)
            if name in self._ask.fixed and contains(distribution, self._ask.fixed[name]):
                value = self._ask.fixed[name]
            child = node.child(name, as_key(distribution, value))
            if child is None:
                return False
            done.append(action(name, distribution, value))
            node = child
        return node.closed

    def _step(
        self, state: Array, done: Sequence[Action], name: str, count: int
    ) -> tuple[Array, list[float]]:
        last = done[-1] if done else None
        state, log_p = self._policy.step(state, last, name, count, self._preference)
        return state, np.exp(log_p).tolist()

    def _draw(
        self, name: str, distribution: BaseDistribution, weights: Sequence[float], attempt: int
    ) -> Any:
        rng = self._ask.rng(f"draw:{name}/{attempt}")
        if rng.random() < attempt / ATTEMPTS:
            weights = [1.0] * len(weights)
        (taken,) = rng.choices(range(len(weights)), weights)
        if len(weights) == options(distribution):
            return option(distribution, taken)
        return from_unit(distribution, (taken + rng.random()) / len(weights))


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
    count, closed, rng = len(weights), ask.closed(name, distribution), ask.rng(f"draw:{name}")
    weights = open_actions(weights, distribution, closed)
    if count == options(distribution):
        return option(distribution, rng.choices(range(count), weights)[0])
    for _ in range(TRIES):
        taken = rng.choices(range(count), weights)[0]
        value = from_unit(distribution, (taken + rng.random()) / count)
        if as_key(distribution, value) not in closed:
            return value
    values, tried = _values(distribution, taken, count), numbers_of(distribution, closed)
    left = [n for n in values if n not in tried] if len(values) <= COUNTED else []
    return option(distribution, rng.choice(left)) if left else value


def open_actions(
    weights: Sequence[float], distribution: BaseDistribution, closed: Collection[float]
) -> list[float]:
    """Sets the weights of actions that lead to nothing untried to 0, unless all are such.

    Args:
        weights: One for each action.
        distribution: The parameter's.
        closed: The keys (see `as_key`) of values that lead to nothing untried.
    """
    if len(weights) == options(distribution):
        return without(weights, distribution, closed)
    if not closed or options(distribution) == 0:
        return list(weights)
    tried = numbers_of(distribution, closed)
    count = len(weights)
    left = [
        0.0 if all(n in tried for n in _values(distribution, taken, count)) else weight
        for taken, weight in enumerate(weights)
    ]
    return left if any(left) else list(weights)


def _values(distribution: BaseDistribution, taken: int, count: int) -> range:
    """The indices of the values that are drawn from a bin of a range that has steps."""
    ends = taken / count, math.nextafter((taken + 1) / count, 0.0)
    first, last = (option_number(distribution, from_unit(distribution, end)) for end in ends)
    return range(first, last + 1)


def count_of(distribution: BaseDistribution) -> int:
    """The number of actions of a parameter."""
    n = options(distribution)
    if isinstance(distribution, CategoricalDistribution) or 1 <= n <= MOST_ACTIONS:
        return n
    return BINS


def action(name: str, distribution: BaseDistribution, value: Any) -> Action:
    """The action that corresponds to a decision; for a value beyond its range, the nearest one.

    A queued trial may have such a value: Optuna warns of it, and takes it.
    """
    count = count_of(distribution)
    if count == options(distribution):
        taken = option_number(distribution, value)
    else:
        taken = int(count * to_unit(distribution, value))
    return Action(name, count, min(max(taken, 0), count - 1))
