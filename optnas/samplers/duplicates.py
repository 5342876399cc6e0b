"""Learns which changes to an architecture leave its network as it was (part of `predictor`).

Different parameters can stand for one network: parallel branches in another order, say, or a layer
whose output nothing uses. Where evaluations aren't noisy, such trials have equal values. A pair of
trials that differ in few decisions tells whether these matter, and a duplicate of a tried network
gains nothing.

The model is a noisy-or (Pearl, Probabilistic Reasoning in Intelligent Systems, 1988): each decision
that differs makes two architectures different networks with a probability of its own. Whether the
counts of `encoding` differ is one decision more: it tells a change of order from a change of what
is chosen. The weight of a decision is the negative logarithm of the probability that it doesn't
matter. Weights are fitted by penalised maximum likelihood, and those of the decisions are close to
a common one, so that the first pairs tell something of all decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize

from optnas.pareto.dominance import Array

Codes = tuple[Array, Array]
"""Choices and counts of architectures (`optnas.samplers.encoding.encode`)."""

NEAR = 3
"""The most decisions in which the pairs differ: as many as a child changes."""
START, COMMON, OWN = 1.0, 0.5, 1.0
"""The weight before any pair was seen, and how much it costs that the common weight differs from
it, or a decision's own weight from the common one (in nats, by the square of the difference)."""


def duplicate_probability(codes: Codes, asked: slice, known: Sequence[int], values: Array) -> Array:
    """The probability that an architecture is a network that was tried.

    Args:
        codes: Architectures: those that are asked for, and all that were tried.
        asked: The rows of those that are asked for.
        known: The rows of trials to learn from.
        values: Their values, of shape `(trials, objectives)`. A trial with a value that isn't
            finite tells nothing: many networks diverge.

    Returns:
        An array of shape `(architectures,)`: 0 if no two trials that differ in few decisions have
        equal values, or if there is one objective alone, in which different networks are equal.
    """
    pool = [x[asked] for x in codes]
    found = np.zeros(len(pool[0]))
    if values.shape[1] == 1:
        return found
    finite = np.isfinite(values).all(axis=1)
    _, network = np.unique(values[finite], axis=0, return_inverse=True)
    network = network.reshape(-1)
    first, second = np.triu_indices(len(network), 1)
    choices, counts = (x[known][finite] for x in codes)
    near = (choices[first] != choices[second]).sum(axis=1) <= NEAR
    first, second = first[near], second[near]
    equal = network[first] == network[second]
    if not equal.any():
        return found
    pairs = (choices[first], counts[first]), (choices[second], counts[second])
    weights = _weights(_changes(*pairs), equal)
    tried = np.delete(codes[0], asked, axis=0), np.delete(codes[1], asked, axis=0)
    for i, (own, counted) in enumerate(zip(*pool, strict=True)):
        found[i] = np.exp(-(_changes((own, counted), tried) @ weights).min())
    return found


def _changes(codes: Codes, others: Codes) -> Array:
    """Which decisions differ (1, else 0), and in the last column whether the counts do."""
    recounted = (np.abs(codes[1] - others[1]) > 1e-9).any(axis=1)
    return np.column_stack([codes[0] != others[0], recounted]).astype(float)


def _weights(changes: Array, equal: Array) -> Array:
    """The weight of each change, from what differs in pairs and whether they are one network."""
    start = np.full(changes.shape[1] + 1, START)
    bounds = [(0.0, None)] * len(start)
    result = minimize(loss_of(changes, equal), start, jac=True, bounds=bounds)
    return np.asarray(result.x[:-1], dtype=float)


def loss_of(changes: Array, equal: Array) -> Callable[[Array], tuple[float, Array]]:
    """The penalised negative logarithm of the likelihood, and its gradient.

    Args:
        changes: What differs in each pair, of shape `(pairs, changes)`.
        equal: Whether the pair is one network, of shape `(pairs,)`.

    Returns:
        A function of the weights and, at the end, the common weight.
    """

    def loss(at: Array) -> tuple[float, Array]:
        weights, common = at[:-1], at[-1]
        total = np.maximum(changes @ weights, 1e-9)
        same = np.exp(-total)
        own, away = weights - common, common - START
        value = np.where(equal, total, -np.log1p(-same)).sum()
        slope = np.where(equal, 1.0, -same / (1 - same)) @ changes + 2 * OWN * own
        value += OWN * own @ own + COMMON * away**2
        return float(value), np.append(slope, 2 * COMMON * away - 2 * OWN * own.sum())

    return loss
