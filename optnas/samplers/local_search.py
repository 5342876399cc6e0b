"""Local search.

Source: White, Nolen and Savani, Exploring the loss landscape in neural architecture search, UAI
2021 (arXiv 2005.02960).

What differs: with several objectives the neighbours of the whole front are tried, those of the
member with the largest hypervolume contribution first; and the search moves to a better neighbour
as soon as it finds one, before all others are tried.

Defaults: the 10 random trials at the start were chosen on NAS-Bench-201 with CIFAR-10
(benchmarks/samplers_nb201.py).
"""

from __future__ import annotations

from collections.abc import Collection
from random import Random
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.dominance import Array, dominates, losses
from optnas.samplers.ask import Ask, Draw
from optnas.samplers.base import ATTEMPTS, HistorySampler
from optnas.samplers.history import History
from optnas.samplers.mutation import Genes, genes_of, near_baseline, values_of, with_fixed
from optnas.samplers.ranking import contributions, may_be_parent, shortfall, violation
from optnas.samplers.trie import Node, tried
from optnas.utils.checks import check_counts
from optnas.utils.distributions import as_key, option, options
from optnas.utils.draws import LISTED, move, move_weights

RESTART = "optnas:restart"
"""On a trial: it starts a new front, because all neighbours of the old one had been tried."""
TRIES = 4
"""After this number of attempts on one member of the front, the next one has its turn."""


class LocalSearchSampler(HistorySampler):
    """Tries neighbours of the front: trials with one of their decisions changed.

    It changes the member with the largest hypervolume contribution that has an untried neighbour
    (with one objective: the best trial). When no such member is left, a random trial starts a new
    front, and the search continues from it.

    Example:
        ```python
        import optuna

        import optnas

        study = optuna.create_study(sampler=optnas.LocalSearchSampler(seed=0))
        ```

    Args:
        n_startup_trials: The number of trials at the start that are drawn at random.
        seed: The study's seed. Without one, the sampler takes the seed that the study keeps, or
            draws one and keeps it there.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(self, *, n_startup_trials: int = 10, seed: int | None = None) -> None:
        super().__init__(seed)
        check_counts(n_startup_trials=n_startup_trials)
        self._n_startup_trials = n_startup_trials

    def start(self, ask: Ask) -> Draw:
        """Changes one decision of a member of the front."""
        front = ask.history.fold(_Front, _Front.add)
        if front.seen < self._n_startup_trials:
            return ask.inherit(near_baseline(ask))
        if not ask.attempt:
            front.exhausted.clear()  # what counts as tried may have changed
        # By then it is clear that what is left around the front breaks bounds, or fails.
        members = front.by_contribution() if ask.attempt < ATTEMPTS // 2 else []
        # Neighbours that are known to break a bound were drawn: other members may have better ones.
        first = ask.attempt // TRIES % len(members) if members else 0
        for trial in [*members[first:], *members[:first]]:
            if not ask.fixed and trial.number in front.exhausted:
                continue
            genes = with_fixed(genes_of(trial), ask.fixed)
            rng = ask.rng(f"local search/{ask.history.place(trial)}")
            change = _untried_neighbour(genes, ask.tried, rng, ask.fixed)
            if change is not None:
                return ask.inherit(values_of(genes) | change)
            if not ask.fixed:
                front.exhausted.add(trial.number)
        if not ask.attempt and ask.fixed == ask.held:
            ask.mark(RESTART)
        return ask.inherit({})


class _Front:
    """The front of all trials since the last restart."""

    def __init__(self, history: History) -> None:
        self._directions, self._limits = history.study.directions, history.limits
        self.seen = 0
        self.exhausted: set[int] = set()
        self._begin()

    def _begin(self) -> None:
        self._members: list[FrozenTrial] = []
        self._points: Array = np.zeros((0, len(self._directions)))
        self._broken = (np.inf, np.inf)
        self._ordered: list[FrozenTrial] | None = None

    def add(self, trial: FrozenTrial) -> None:
        """Adds the next finished trial."""
        if RESTART in trial.system_attrs:
            self._begin()
        if not may_be_parent(trial):
            return
        self.seen += 1
        point = np.zeros(len(self._directions))
        broken = violation(trial), 0.0
        if trial.state == TrialState.COMPLETE:
            values = losses([trial.values], self._directions)
            broken = broken[0], float(shortfall(values, self._limits)[0])
            if broken == (0.0, 0.0):
                point = values[0]
        if broken > self._broken:
            return
        if broken < self._broken:  # first the bounds, then the reference: nothing worse there stays
            self._begin()
            self._broken = broken
        if dominates(self._points, point).any():
            return
        stays = ~(self._points >= point).all(axis=1) | (self._points == point).all(axis=1)
        kept = [member for member, s in zip(self._members, stays, strict=True) if s]
        self._members = [*kept, trial]
        self._points = np.vstack([self._points[stays], point])
        self._ordered = None

    def by_contribution(self) -> list[FrozenTrial]:
        """The members by hypervolume contribution, the largest first; of equal ones the newest."""
        if self._ordered is None:
            gain = np.zeros(len(self._members))
            if self._points.shape[1] > 1 and self._broken == (0.0, 0.0):
                gain = contributions(self._points)
            order = np.lexsort((-np.arange(len(gain)), -gain))
            self._ordered = [self._members[i] for i in order]
        return self._ordered


def _untried_neighbour(
    genes: Genes, root: Node, rng: Random, fixed: Collection[str]
) -> dict[str, Any] | None:
    """Finds a changed value of one parameter, not a fixed one, that makes all untried, if any.

    All parameters are equally likely; within one, near values are likelier (see `move`).
    """
    keys = {name: as_key(distribution, value) for name, (distribution, value) in genes.items()}
    nodes: dict[str, Node | None] = {}
    node: Node | None = root
    for name, key in keys.items():
        nodes[name] = node
        node = node and node.child(name, key)
    free = [name for name in keys if name not in fixed]
    for name in rng.sample(free, len(free)):
        distribution, value = genes[name]
        n, before = options(distribution), nodes[name]
        if n == 0 or n > LISTED:
            return {name: move(rng, distribution, value)}
        weights = move_weights(distribution, value) if n > 1 else [0.0]
        for i, weight in enumerate(weights):
            if weight > 0 and before is not None:
                child = before.child(name, as_key(distribution, option(distribution, i)))
                if child is not None and tried(child, keys):
                    weights[i] = 0.0
        if any(weights):
            return {name: option(distribution, rng.choices(range(n), weights)[0])}
    return None
