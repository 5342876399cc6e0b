"""Encodes architectures as numbers (part of `predictor`, which has the outline).

A model that has seen twenty trials can't learn much from the single decisions. Totals over layers
of one kind tell it more: how many edges are convolutions, how wide the layers are on average.
Parameters are of one kind if their names differ only in numbers (`layer0.width`, `layer1.width`)
and they have the same choices.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution

from optnas.pareto.dominance import Array
from optnas.samplers.mutation import Genes
from optnas.utils.distributions import on_step, to_unit

ABSENT = -1.0
"""The code of an absent parameter, at a distance of at least 1 from all other codes."""


def encode(architectures: Sequence[Genes]) -> tuple[Array, Array]:
    """Encodes architectures by their choices, and by how often each kind of choice was made.

    Returns:
        The choices, of shape `(architectures, parameters)`: the index of a category, or a position
        from 0 to 1. Two codes differ by at least 1 if their categories differ, or if only one of
        the architectures has the parameter.

        The counts, of shape `(architectures, features)`. They add up the parameters of one kind,
        for each kind with at least two of them. For categories, a column counts how often each is
        chosen. For ordered ranges, two columns have the number of parameters and the sum of their
        positions from 0 to 1. All are divided by 0.6 times the root of the number of parameters,
        which is about the standard deviation among random architectures.
    """
    kinds = _kinds(architectures)
    codes = np.full((len(architectures), len(kinds)), ABSENT)
    for column, name in enumerate(kinds):
        for row, genes in enumerate(architectures):
            if name in genes:
                codes[row, column] = _code(*genes[name])
    return codes, _counts(kinds, codes)


def _counts(kinds: dict[str, BaseDistribution], codes: Array) -> Array:
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    distributions = list(kinds.values())
    for column, (name, distribution) in enumerate(kinds.items()):
        # By its text: choices such as lists can't be hashed.
        groups[re.sub(r"\d+", "#", name), repr(distribution)].append(column)
    columns: list[Array] = []
    for places in groups.values():
        if len(places) < 2:
            continue
        found, distribution = codes[:, places], distributions[places[0]]
        if isinstance(distribution, CategoricalDistribution):
            added = [(found == code).sum(axis=1) for code in range(len(distribution.choices))]
        else:
            there = found != ABSENT
            added = [there.sum(axis=1), np.where(there, found, 0.0).sum(axis=1)]
        columns.append(np.column_stack(added) / (0.6 * len(places) ** 0.5))
    return np.hstack(columns) if columns else np.zeros((len(codes), 0))


def _kinds(architectures: Sequence[Genes]) -> dict[str, BaseDistribution]:
    """All parameters that have a choice, each with the distribution it was first drawn from."""
    kinds: dict[str, BaseDistribution] = {}
    for genes in architectures:
        for name, (distribution, _) in genes.items():
            if name not in kinds and not distribution.single():
                kinds[name] = distribution
    return kinds


def _code(distribution: BaseDistribution, value: Any) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return float(distribution.to_internal_repr(value))
    return to_unit(distribution, on_step(distribution, value))


def by_rank(values: Array) -> Array:
    """Replaces each column by its ranks, from -√3 to √3 (variance 1).

    Values that aren't finite become 0, and so does a constant column.
    """
    ranked = np.zeros(values.shape)
    for i, column in enumerate(values.T):
        known = np.isfinite(column)
        order = np.sort(column[known])
        if len(order) and order[-1] > order[0]:
            below = np.searchsorted(order, column[known], "left")
            up_to = np.searchsorted(order, column[known], "right")
            ranked[known, i] = ((below + up_to) / len(order) - 1) * 3**0.5
    return ranked
