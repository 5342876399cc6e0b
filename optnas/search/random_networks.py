"""Random architectures of a search space, which are looked at before a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Any

from optuna import TrialPruned
from optuna.trial import FixedTrial

from optnas.candidate import Candidate
from optnas.errors import with_place
from optnas.metrics import Macs
from optnas.objective.bounds import Bounds
from optnas.objective.objective import Objective
from optnas.runs.failing import without_numbers
from optnas.search.baselines import baseline_faults
from optnas.search_spaces import ParameterSpace, SearchSpace
from optnas.utils.draft import Draft
from optnas.utils.random_state import seeded
from optnas.utils.silent import silent

UNSOUND = (TrialPruned, RuntimeError, ValueError)
"""Raised for an architecture that is incomplete, or has no network that runs."""


def random_params(space: SearchSpace[Any], rng: Random) -> dict[str, Any]:
    """The parameters of a random architecture."""
    draft = Draft({}, rng)
    with silent(), seeded(0):  # a FunctionSpace builds the network here
        space.suggest(draft)
    return dict(draft.params)


class RandomNetworks:
    """Random networks of a search.

    Attributes:
        costs: The exact metrics of each, by name.
        unsound: How many can't be built or run, by the reason; of reasons that differ in numbers
            alone, by the first.
        over: How many break a bound, by its name.
        fitting: How many break none.
        sound: The parameters of those that can be run, with the cost by which they are ordered.
        bounds: Those on exact metrics.
    """

    def __init__(self, objective: Objective, seed: int) -> None:
        self._objective, self._space = objective, objective.space
        self._rng = Random(seed)
        has_networks = not isinstance(self._space, ParameterSpace)
        given = {metric.name: metric for metric in objective.metrics}
        if has_networks:
            given.setdefault("macs", Macs())
        self._exact = [m for m in given.values() if m.exact] if has_networks else []
        self._others = [m for m in objective.metrics if not m.exact] if has_networks else []
        self._limits = Bounds(objective.constraints, objective.known)
        self.bounds = self._limits.among([m.name for m in self._exact])
        self.costs: dict[str, list[float]] = {}
        self.unsound: Counter[str] = Counter()
        self._first: dict[str, str] = {}
        self.over: Counter[str] = Counter()
        self.fitting = 0
        self.sound: list[tuple[float, dict[str, Any]]] = []

    def count(self, number: int) -> None:
        """Draws and counts some."""
        for _ in range(number):
            try:
                params = random_params(self._space, self._rng)
                found = self._costs(self._candidate(params))
            except UNSOUND as error:
                reason = with_place(error)
                self.unsound[self._first.setdefault(without_numbers(reason), reason)] += 1
                continue
            for name, value in found.items():
                self.costs.setdefault(name, []).append(value)
            broken = self._broken(found)
            self.over.update(broken)
            self.fitting += not broken
            self.sound.append((found.get("macs", 0.0), params))

    def _candidate(self, params: Mapping[str, Any]) -> Candidate:
        with seeded(0), silent():
            return self._objective.candidate(FixedTrial(dict(params)))

    def _costs(self, candidate: Candidate) -> dict[str, float]:
        with silent():
            return {metric.name: metric.measure(candidate) for metric in self._exact}

    def _broken(self, costs: Mapping[str, float]) -> list[str]:
        return [n for n in self.bounds.limits if self.bounds.excess(n, costs[n]) > 0]

    def broken_by(self, measured: Mapping[str, float]) -> dict[str, float]:
        """The bounds that measurements break, by name."""
        bounds = self._limits.among(measured.keys())
        return {n: b for n, b in bounds.limits.items() if bounds.excess(n, measured[n]) > 0}

    def baselines(self) -> dict[str, str]:
        """What is wrong with each baseline that has a fault (see `baseline_faults`)."""
        return baseline_faults(self._objective, self._exact)

    @property
    def _median(self) -> dict[str, Any]:
        ordered = sorted(self.sound, key=lambda one: one[0])
        return ordered[len(ordered) // 2][1]

    def measured(self) -> dict[str, float]:
        """The metrics that aren't counts, of the network of median macs."""
        candidate = self._candidate(self._median)
        return {metric.name: metric.measure(candidate) for metric in self._others}

    def to_train(self) -> tuple[Candidate, Any]:
        """The network of median macs, and a recipe that the evaluator suggests for it."""
        candidate = self._candidate(self._median)
        with seeded(0):
            return candidate, self._objective.evaluator.suggest(Draft(self._median, Random(0)))
