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
from optnas.utils.distributions import to_unit

ABSENT = -1.0
"""The code of an absent parameter, at a distance of at least 1 from all other codes."""


def choices(architectures: Sequence[Genes]) -> Array:
    """Encodes each parameter as a column: the index of a category, or a position from 0 to 1.

    Two codes differ by at least 1 if their categories differ, or if only one of the architectures
    has the parameter.

    Returns:
        An array of shape `(architectures, parameters)`.
    """
    kinds = _kinds(architectures)
    codes = np.full((len(architectures), len(kinds)), ABSENT)
    for column, name in enumerate(kinds):
        for row, genes in enumerate(architectures):
            if name in genes:
                codes[row, column] = _code(*genes[name])
    return codes


def counts(architectures: Sequence[Genes]) -> Array:
    """Adds up the choices of the parameters of one kind, for each kind with at least two of them.

    For categories, a column counts how often each is chosen. For ordered ranges, two columns have
    the number of parameters and the sum of their positions from 0 to 1. All are divided by 0.6
    times the root of the number of parameters, which is about the standard deviation among random
    architectures.

    Returns:
        An array of shape `(architectures, features)`.
    """
    groups: dict[tuple[str, BaseDistribution], list[str]] = defaultdict(list)
    for name, distribution in _kinds(architectures).items():
        groups[re.sub(r"\d+", "#", name), distribution].append(name)
    columns: list[Array] = []
    for (_, distribution), names in groups.items():
        if len(names) < 2:
            continue
        categories = isinstance(distribution, CategoricalDistribution)
        width = (
            len(distribution.choices) if isinstance(distribution, CategoricalDistribution) else 2
        )
        found = np.zeros((len(architectures), width))
        for row, genes in enumerate(architectures):
            for name in names:
                if name in genes:
                    code = _code(*genes[name])
                    if not categories:
                        found[row] += (1.0, code)
                    elif code < width:
                        found[row, int(code)] += 1
        columns.append(found / (0.6 * len(names) ** 0.5))
    return np.hstack(columns) if columns else np.zeros((len(architectures), 0))


def _kinds(architectures: Sequence[Genes]) -> dict[str, BaseDistribution]:
    """All parameters that have a choice, each with the distribution it was first drawn from."""
    kinds: dict[str, BaseDistribution] = {}
    for genes in architectures:
        for name, (distribution, _) in genes.items():
            if not distribution.single():
                kinds.setdefault(name, distribution)
    return kinds


def _code(distribution: BaseDistribution, value: Any) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return float(distribution.to_internal_repr(value))
    return to_unit(distribution, value)


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
