"""Learns which changes to an architecture leave its network as it was (part of `predictor`).

Different parameters can stand for one network: parallel branches in another order, say, or a layer
whose output nothing uses. Where evaluations aren't noisy, such trials have equal values. So each
trial tells whether it repeated a network that was tried before it, and a proposal that repeats one
gains nothing.

The model is a noisy-or (Pearl, Probabilistic Reasoning in Intelligent Systems, 1988): each decision
that differs makes two architectures different networks with a probability of its own. Whether the
counts of `encoding` differ is one decision more: it tells a change of order from a change of what
is chosen. The weight of a decision is the negative logarithm of the probability that it doesn't
matter, so the probability that an architecture repeats a network is exp(-d): d is the smallest sum
of weights of what differs from a tried one. Weights are fitted by penalised maximum likelihood.
Those of the decisions are close to a common one, so that the first repeats tell of all decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize

from optnas.pareto.dominance import Array

Codes = tuple[Array, Array]
"""Choices and counts of architectures (`optnas.samplers.encoding.encode`)."""

START, COMMON, OWN = 1.0, 0.2, 0.3
"""The weight before any trial was seen, and how much it costs that the common weight differs from
it, or a decision's own weight from the common one (in nats, by the square of the difference)."""


def duplicate_probability(codes: Codes, asked: slice, known: Sequence[int], values: Array) -> Array:
    """The probability that an architecture is a network that was tried.

    Args:
        codes: Architectures: those that are asked for, and all that were tried.
        asked: The rows of those that are asked for.
        known: The rows of trials to learn from, the oldest first.
        values: Their values, of shape `(trials, objectives)`. A trial with a value that isn't
            finite tells nothing: many networks diverge.

    Returns:
        An array of shape `(architectures,)`: 0 if no two trials have equal values, or if there is
        one objective alone, in which different networks are equal.
    """
    found = np.zeros(len(codes[0][asked]))
    if values.shape[1] == 1:
        return found
    finite = np.isfinite(values).all(axis=1)
    _, network = np.unique(values[finite], axis=0, return_inverse=True)
    equal = network.reshape(-1, 1) == network.reshape(1, -1)
    if equal.sum() == len(equal):
        return found
    trials = [x[known][finite] for x in codes]
    weights = _weights(_changes(trials, trials), equal)
    tried = [np.delete(x, asked, axis=0) for x in codes]
    changes = _changes([x[asked] for x in codes], tried)
    return np.asarray(np.exp(-(changes @ weights).min(axis=1)), dtype=float)


def _changes(codes: Sequence[Array], others: Sequence[Array]) -> Array:
    """Which decisions differ (1, else 0), and in the last column whether the counts do.

    Returns:
        An array of shape `(architectures, others, decisions + 1)`.
    """
    (choices, counts), (their_choices, their_counts) = codes, others
    changed = choices[:, None] != their_choices
    recounted = (np.abs(counts[:, None] - their_counts) > 1e-9).any(axis=2, keepdims=True)
    return np.concatenate([changed, recounted], axis=2).astype(float)


def _weights(changes: Array, equal: Array) -> Array:
    """The weight of each change, from what differs between trials and which are one network."""
    start = np.full(changes.shape[2] + 1, START)
    bounds = [(0.0, None)] * len(start)
    result = minimize(loss_of(changes, equal), start, jac=True, bounds=bounds)
    return np.asarray(result.x[:-1], dtype=float)


def loss_of(changes: Array, equal: Array) -> Callable[[Array], tuple[float, Array]]:
    """The penalised negative logarithm of the likelihood, and its gradient.

    Args:
        changes: What differs between trials, of shape `(trials, trials, changes)`.
        equal: Which of them are one network, of shape `(trials, trials)`.

    Returns:
        A function of the weights and, at the end, the common weight.
    """
    earlier = np.tri(len(equal), k=-1, dtype=bool)
    repeats = (equal & earlier).any(axis=1)
    compared = np.where(repeats[:, None], equal & earlier, earlier)
    rows = np.arange(len(equal) - 1)  # the first trial has none before it

    def loss(at: Array) -> tuple[float, Array]:
        weights, common = at[:-1], at[-1]
        sums = np.where(compared, changes @ weights, np.inf)[1:]
        nearest = sums.argmin(axis=1)
        total, change = np.maximum(sums[rows, nearest], 1e-9), changes[1:][rows, nearest]
        same, again = np.exp(-total), repeats[1:]
        own, away = weights - common, common - START
        value = np.where(again, total, -np.log1p(-same)).sum()
        slope = np.where(again, 1.0, -same / (1 - same)) @ change + 2 * OWN * own
        value += OWN * own @ own + COMMON * away**2
        return float(value), np.append(slope, 2 * COMMON * away - 2 * OWN * own.sum())

    return loss
