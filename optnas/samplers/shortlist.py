"""The proposals that are looked at in full (part of `predictor`, which has the outline).

What is known of a network before its training has its price: decisions cost nothing, counts a pass
through the network, zero-cost proxies several times that. So each look is at fewer networks than
the one before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random

import numpy as np

from optnas.pareto.dominance import Array
from optnas.samplers.acquisition import Predictor
from optnas.samplers.known import Known
from optnas.samplers.mutation import Genes

Check = Callable[[Genes], bool]


def shortlist(
    pool: Sequence[Genes],
    predictor: Predictor,
    known: Known,
    keeps_bounds: Check,
    n_checked: int,
    n_proxies: int,
    rng: Random,
) -> list[Genes]:
    """The most promising of the pool, whose costs and proxies are known afterwards.

    Args:
        pool: The proposals.
        predictor: Gives acquisition values.
        known: Computes costs and proxies.
        keeps_bounds: Whether an architecture breaks no bound that is known before training.
        n_checked: The number whose costs are computed: the best by their decisions.
        n_proxies: The number of these whose proxies are computed: the best by decisions and costs.
            Without costs, those of all of them are.
        rng: Draws from the posterior.
    """
    if not (known.has_costs or known.has_proxies):
        return list(pool)

    def check(genes: Genes) -> bool:
        return keeps_bounds(genes) and known.is_counted(genes)

    checked = _first(_best_first(pool, predictor.screen(pool, rng)), check, n_checked)
    if not known.has_proxies:
        return checked
    if not predictor.costs:  # nothing new is known of them by which to choose
        return _first(checked, known.is_sound, n_checked)
    if len(checked) > n_proxies:
        checked = list(_best_first(checked, predictor.by_costs(checked, rng)))
    return _first(checked, known.is_sound, n_proxies)


def _best_first(pool: Sequence[Genes], value: Array) -> Iterable[Genes]:
    return (pool[i] for i in np.argsort(-value, kind="stable"))


def _first(pool: Iterable[Genes], check: Check, number: int) -> list[Genes]:
    """The first `number` that pass; nothing after them is checked."""
    found: list[Genes] = []
    for genes in pool:
        if len(found) == number:
            break
        if check(genes):
            found.append(genes)
    return found
