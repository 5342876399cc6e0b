"""A recurrent policy over the decisions of a define-by-run space (part of `reinforce`).

It is an Elman network. At each decision the state h = tanh(U h' + e(last action) + n(parameter) +
C context) depends on all decisions before, and the logits of the parameter's actions are
V h + b + P context. A parameter gets its weights when it first appears, from a seed derived from
its name, so the space needn't be known beforehand. The gradients are written out, and tested
against automatic differentiation: for so small a network, a step takes a sixth of the time that
PyTorch needs, and every resumed study takes one step for each of its trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optnas.study.seeds import derived_seed

Array = NDArray[np.float64]
Integers = NDArray[np.int_]
Key = tuple[str, str, int]
Last = tuple[str, int, int | Integers]
"""A parameter, the number of its actions, and the one taken; in a batch, one for each row."""
SCALE = 0.3
"""The standard deviation of the weights that lead into the state."""


class Action(NamedTuple):
    """The action taken for a parameter, out of a number of actions."""

    name: str
    actions: int
    taken: int


class Policy:
    """The policy with its optimizer (Adam, uphill).

    No weights change in place, so `frozen` makes a cheap copy that later steps leave unchanged.

    Args:
        context: The size of the context vector, which each decision depends on.
        hidden: The size of the state.
        learning_rate: The learning rate of Adam.
        seed: Seeds the weights.
    """

    def __init__(self, context: int, hidden: int, learning_rate: float, seed: int) -> None:
        self.hidden, self.learning_rate = hidden, learning_rate
        self._seed, self._context = seed, context
        self._weights = self._mean = self._square = np.zeros(0)
        self._steps = 0
        self._places: dict[Key, tuple[int, int, tuple[int, ...]]] = {}
        rng = np.random.default_rng(seed)
        self._add(("U", "", 0), 0.5 * np.linalg.qr(rng.normal(size=(hidden, hidden)))[0])
        self._add(("C", "", 0), SCALE * rng.normal(size=(hidden, context)))

    def frozen(self) -> Policy:
        """Returns a copy that doesn't change while this policy continues to learn."""
        policy = copy(self)
        policy._places = dict(self._places)
        return policy

    def step(
        self, state: Array, last: Last | None, name: str, count: int, context: Array
    ) -> tuple[Array, Array]:
        """The next state, and the log probabilities of the parameter's actions.

        Args:
            state: The state before, of shape `(hidden,)`, or `(rows, hidden)` for a batch.
            last: The last action, if there is one; in a batch, one for each row.
            name: The parameter's.
            count: The number of its actions.
            context: Of shape `(context,)`, or `(rows, context)`.

        Returns:
            Of shapes `(hidden,)` and `(count,)`, or `(rows, hidden)` and `(rows, count)`.
        """
        self._meet(name, count)
        inputs = state @ self["U"].T + self["n", name, count] + context @ self["C"].T
        if last is not None:
            self._meet(last[0], last[1])
            inputs = inputs + self["e", last[0], last[1]][last[2]]
        state = np.tanh(inputs)
        logits = state @ self["V", name, count].T + self["b", name, count]
        logits = logits + context @ self["P", name, count].T
        logits = logits - logits.max(axis=-1, keepdims=True)
        return state, logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))

    def gradient(
        self, sequences: Sequence[Sequence[Action]], contexts: Array, entropy: float
    ) -> Array:
        """The gradient of the mean of log p(actions) + entropy · (sum of the decisions' entropies).

        The first term's is REINFORCE's with a reward of 1 (Williams 1992).

        Args:
            sequences: The actions of each row.
            contexts: Of shape `(rows, context)`.
            entropy: The weight of the entropies.
        """
        groups: dict[tuple[tuple[str, int], ...], list[int]] = {}
        for row, actions in enumerate(sequences):
            groups.setdefault(tuple((a.name, a.actions) for a in actions), []).append(row)
        for forks in groups:
            for fork in forks:
                self._meet(*fork)
        total = np.zeros_like(self._weights)
        for forks, rows in groups.items():
            taken = np.array([[a.taken for a in sequences[row]] for row in rows], dtype=int).T
            self._add_gradient(total, forks, taken, contexts[rows], entropy)
        return total / len(sequences)

    def _add_gradient(
        self,
        gradient: Array,
        forks: Sequence[tuple[str, int]],
        taken: Integers,
        context: Array,
        entropy: float,
    ) -> None:
        """Adds the gradient of rows with the same parameters; `taken` has a row for each of them.

        It goes through the decisions forwards, and then backwards.
        """
        states, log_ps = [np.zeros((len(context), self.hidden))], []
        for t, (name, count) in enumerate(forks):
            last = (*forks[t - 1], taken[t - 1]) if t > 0 else None
            state, log_p = self.step(states[-1], last, name, count, context)
            states.append(state)
            log_ps.append(log_p)
        from_later, rows = np.zeros((len(context), self.hidden)), np.arange(len(context))
        for t in reversed(range(len(forks))):
            log_p, state = log_ps[t], states[t + 1]
            p = np.exp(log_p)
            logits = -p - entropy * p * (log_p - (p * log_p).sum(axis=1, keepdims=True))
            logits[rows, taken[t]] += 1.0
            self._part(gradient, "b", *forks[t])[...] += logits.sum(axis=0)
            self._part(gradient, "P", *forks[t])[...] += logits.T @ context
            self._part(gradient, "V", *forks[t])[...] += logits.T @ state
            inputs = (from_later + logits @ self["V", *forks[t]]) * (1 - state * state)
            self._part(gradient, "n", *forks[t])[...] += inputs.sum(axis=0)
            self._part(gradient, "C")[...] += inputs.T @ context
            self._part(gradient, "U")[...] += inputs.T @ states[t]
            if t > 0:
                np.add.at(self._part(gradient, "e", *forks[t - 1]), taken[t - 1], inputs)
            from_later = inputs @ self["U"]

    def ascend(self, gradient: Array) -> None:
        """Takes one step of Adam (Kingma and Ba 2015) along a gradient."""
        self._steps += 1
        self._mean = 0.9 * self._mean + 0.1 * gradient
        self._square = 0.999 * self._square + 0.001 * gradient**2
        mean = self._mean / (1 - 0.9**self._steps)
        square = self._square / (1 - 0.999**self._steps)
        self._weights = self._weights + self.learning_rate * mean / (np.sqrt(square) + 1e-8)

    def __getitem__(self, key: str | Key) -> Array:
        return self._part(self._weights, *([key] if isinstance(key, str) else key))

    def _part(self, values: Array, kind: str, name: str = "", count: int = 0) -> Array:
        start, stop, shape = self._places[kind, name, count]
        return values[start:stop].reshape(shape)

    def _meet(self, name: str, count: int) -> None:
        """Gives a parameter its weights; before any learning, all actions are equally likely."""
        if ("b", name, count) in self._places:
            return
        rng = np.random.default_rng(derived_seed(self._seed, count, f"policy:{name}"))
        self._add(("b", name, count), np.zeros(count))
        self._add(("P", name, count), np.zeros((count, self._context)))
        self._add(("V", name, count), np.zeros((count, self.hidden)))
        self._add(("e", name, count), SCALE * rng.normal(size=(count, self.hidden)))
        self._add(("n", name, count), SCALE * rng.normal(size=self.hidden))

    def _add(self, key: Key, values: Array) -> None:
        start = len(self._weights)
        self._places[key] = start, start + values.size, values.shape
        self._weights = np.append(self._weights, values)
        self._mean = np.append(self._mean, np.zeros(values.size))
        self._square = np.append(self._square, np.zeros(values.size))
