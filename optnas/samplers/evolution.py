"""Regularized evolution.

Source: Real, Aggarwal, Huang and Le, Regularized evolution for image classifier architecture
search, AAAI 2019 (arXiv 1802.01548).

What differs: trials join the population in the order in which they finish, so any number of workers
can take part; the tournament compares feasibility first, and with several objectives non-dominated
rank and hypervolume contribution; nothing is proposed twice; and evolution begins before the first
population is complete.

Defaults: population and tournament are those of the paper (100 and 25). Evolution from the 10th
trial on, and hypervolume contributions in place of crowding distances, were chosen on NAS-Bench-201
with CIFAR-10 (benchmarks/samplers_nb201.py); CIFAR-100 and ImageNet16-120 were kept for validation.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any

from optuna.trial import FrozenTrial

from optnas.samplers.ask import Ask, Draw
from optnas.samplers.base import HistorySampler
from optnas.samplers.history import History
from optnas.samplers.mutation import (
    Genes,
    crossed,
    genes_of,
    mutated,
    near_baseline,
    values_of,
    was_tried,
    with_fixed,
)
from optnas.samplers.ranking import best_first, may_be_parent, violation
from optnas.utils.checks import check_counts, check_numbers

ATTEMPTS = 25
"""After this number of children that were tried before, one more decision is mutated."""


class RegularizedEvolutionSampler(HistorySampler):
    """Evolution with a population that ages: only the newest trials may be parents.

    A child is the winner of a tournament with one decision changed: a category becomes any other
    one, an ordered value more often a near one than a far one. The child keeps its parent's
    decisions for all parameters that it has too; parameters that are new are drawn at random.

    Example:
        ```python
        import optuna

        import optnas

        study = optuna.create_study(sampler=optnas.RegularizedEvolutionSampler(seed=0))
        ```

    Args:
        population_size: The number of newest finished trials that may be parents.
        tournament_size: The number of them, drawn at random, that compete; the best is the parent.
        mutations: The number of decisions that are changed in a child.
        crossover: The share of children that have two parents, winners of two tournaments. Before
            mutation, they take each decision from one of the two at random, wherever both have it.
        aging: If False, the population is an elite instead: after every `population_size` trials
            the best of the old population and of the new trials stay (the generational genetic
            algorithm of textbooks).
        n_startup_trials: The number of trials at the start that are drawn at random.
        seed: The study's seed. Without one, the sampler takes the seed that the study keeps, or
            draws one and keeps it there.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(
        self,
        *,
        population_size: int = 100,
        tournament_size: int = 25,
        mutations: int = 1,
        crossover: float = 0.0,
        aging: bool = True,
        n_startup_trials: int = 10,
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        check_counts(population_size=population_size, tournament_size=tournament_size)
        check_numbers(crossover=crossover)
        if not 1 <= tournament_size <= population_size:
            raise ValueError(
                "tournament_size must be from 1 to population_size, got "
                f"{tournament_size} of {population_size}"
            )
        check_counts(mutations=mutations, n_startup_trials=n_startup_trials)
        if not 0 <= crossover <= 1:
            raise ValueError(f"crossover must be from 0 to 1, got {crossover}")
        self._population_size = population_size
        self._tournament_size = tournament_size
        self._mutations = mutations
        self._crossover = crossover
        self._aging = aging
        self._n_startup_trials = n_startup_trials

    def start(self, ask: Ask) -> Draw:
        """Breeds a child that hasn't been tried yet."""
        history = ask.history
        members = history.fold(self._found, _Population.add).members
        if len(members) < self._n_startup_trials:
            return ask.inherit(near_baseline(ask))
        best = best_first(members, history.study.directions, history.limits)
        ranked = [members[i] for i in best]
        rng = ask.rng("evolution")
        child: dict[str, Any] = {}
        for attempt in range(10 * ATTEMPTS):
            genes = self._breed(ask, ranked, rng, self._mutations + attempt // ATTEMPTS)
            child = values_of(genes)
            if ask.tried.closed or not was_tried(ask.tried, genes):
                break  # it is new, or nothing new is left
        return ask.inherit(child)

    def _found(self, history: History) -> _Population:
        return _Population(self._population_size, self._aging, history)

    def _breed(self, ask: Ask, ranked: list[FrozenTrial], rng: Random, mutations: int) -> Genes:
        genes = genes_of(self._win(ranked, rng))
        if self._crossover > 0 and rng.random() < self._crossover:
            genes = crossed(genes, genes_of(self._win(ranked, rng)), rng)
        return mutated(with_fixed(genes, ask.fixed), mutations, rng, ask.fixed)

    def _win(self, ranked: list[FrozenTrial], rng: Random) -> FrozenTrial:
        """The winner of a tournament."""
        return ranked[min(rng.sample(range(len(ranked)), min(self._tournament_size, len(ranked))))]


class _Population:
    """The trials that may be parents; infeasible ones only while there are too few others."""

    def __init__(self, size: int, aging: bool, history: History) -> None:
        self._size, self._aging = size, aging
        self._directions, self._limits = history.study.directions, history.limits
        self._feasible: deque[FrozenTrial] = deque(maxlen=size)
        self._infeasible: deque[FrozenTrial] = deque(maxlen=size)
        self._elite: list[FrozenTrial] = []

    def add(self, trial: FrozenTrial) -> None:
        """Adds the next finished trial."""
        if not may_be_parent(trial):
            return
        newest = self._feasible if violation(trial) == 0 else self._infeasible
        newest.append(trial)
        if not self._aging and len(self._feasible) == self._size:
            known = [*self._elite, *self._feasible]
            best = best_first(known, self._directions, self._limits)[: self._size]
            self._elite = [known[i] for i in best]
            self._feasible.clear()

    @property
    def members(self) -> list[FrozenTrial]:
        members = self._elite or list(self._feasible)
        room = self._size - len(members)
        return [*members, *list(self._infeasible)[max(len(self._infeasible) - room, 0) :]]
