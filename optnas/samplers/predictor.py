"""Search with a predictor that knows the costs.

In architecture search most objectives are known before any training. General-purpose samplers
model them as black boxes beside the loss; here they are exact, and only the rest is predicted.

Sources: choosing by the gain in hypervolume under random draws from the posterior is Bradford,
Schweidtmann and Lapkin, Efficient multiobjective optimization employing Gaussian processes,
spectral sampling and a genetic algorithm, Journal of Global Optimization 2018; an ensemble that
screens an evolving pool is White, Neiswanger and Savani, BANANAS, AAAI 2021 (arXiv 1910.11858);
zero-cost proxies as features are White et al., How powerful are performance predictors in neural
architecture search?, NeurIPS 2021 (arXiv 2104.01177). What differs: the costs are exact, in the
gain and as features; and the ensemble's members are Gaussian processes on different features, each
trusted by how well it predicts trials that it hasn't seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any

import numpy as np
from optuna import TrialPruned
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optnas.samplers.base import Ask, Draw, HistorySampler
from optnas.samplers.encoding import by_rank
from optnas.samplers.ensemble import Predictor
from optnas.samplers.genes import Genes, genes_of, values_of, was_tried
from optnas.samplers.learned_space import learned_space
from optnas.samplers.proposals import Suggest, complete, propose
from optnas.samplers.ranking import best_first, may_be_parent
from optnas.study.attributes import STOPPED, is_stopped

Costs = Callable[[Mapping[str, Any]], Mapping[int, float]]
"""From a trial's parameters to the objectives that are known before training, by position."""
Proxies = Callable[[Mapping[str, Any]], Mapping[str, float]]
"""From a trial's parameters to numbers that tell something of the loss, by name."""

UNSOUND = (TrialPruned, RuntimeError, ValueError, LookupError)
"""Raised for an architecture that no network can be made of, or that isn't complete."""
MOST_TRIALS = 200
"""So many trials are learned from: half of them the best, the others the newest."""
SAMPLE, TRIALS_OF_A_PART = 100, 4
"""Architectures that the startup trials are chosen from, and how many have their proxies looked at
for each."""


class PredictorSampler(HistorySampler):
    """Proposes many architectures, and takes the one that promises the largest hypervolume.

    For each trial 200 new architectures are made from the front's members and at random. Their
    costs and losses are predicted from the decisions; of the 40 most promising, the costs are
    computed, and the losses predicted again, now with costs and zero-cost proxies as features. The
    one whose predicted objectives gain the most hypervolume, in the mean over four draws from the
    posterior, is taken. A gain counts by the probability that no constraint is broken, and for
    nothing where that is below a half; running trials count as if they had turned out as predicted,
    so that a batch is diverse, and trials that were stopped early as if they had ended at their
    best.

    The startup trials are spread over the costs, each the most promising of four by its proxies.

    Everything may be left out. Without `space`, architectures are made from past trials alone;
    without `costs`, all objectives are predicted, so that it works for any objective in plain
    Optuna. In an `optnas.Search`, what is left out is the search's own.

    The settings were chosen on NAS-Bench-201 with CIFAR-10 (benchmarks/samplers_nb201.py);
    CIFAR-100, ImageNet16-120 and the conditional space were left for checking.

    Args:
        space: A `SearchSpace`, or any function that draws an architecture from a trial; it must
            draw nothing that isn't in the trial.
        costs: Gives the objectives that are known before training, by position, from a trial's
            parameters.
        proxies: Gives further numbers that are known before training, by name, from a trial's
            parameters; larger should mean better, and the most telling come first. They must be the
            same at every call, as must the costs.
        n_startup_trials: How many trials are spread over the costs first.
        n_candidates: How many architectures are proposed for each trial.
        n_checked: Of how many of them the costs and proxies are computed.
        seed: The study's seed; left out, the one it keeps, or one drawn and kept.

    Raises:
        ValueError: A number is out of range.
        TypeError: `space` is no space and no function, or `costs` or `proxies` no function.

    What `costs` or `proxies` raise for one architecture takes it out of the choice; what they raise
    for all is raised.
    """

    def __init__(
        self,
        space: Any = None,
        costs: Costs | None = None,
        *,
        proxies: Proxies | None = None,
        n_startup_trials: int = 6,
        n_candidates: int = 200,
        n_checked: int = 40,
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        for name, number in (
            ("n_startup_trials", n_startup_trials),
            ("n_candidates", n_candidates),
            ("n_checked", n_checked),
        ):
            if number < 1:
                raise ValueError(f"{name} must be at least 1, got {number}")
        for name, function in (("costs", costs), ("proxies", proxies)):
            if function is not None and not callable(function):
                raise TypeError(f"{name} must be a function of parameters, got {function!r}")
        self._suggest = _suggest_of(space)
        self._costs = costs
        self._proxies = proxies
        self._n_startup_trials = n_startup_trials
        self._n_candidates = n_candidates
        self._n_checked = n_checked

    def _forget(self) -> None:
        super()._forget()
        self._costs_of: dict[str, dict[int, float]] = {}
        self._proxies_of: dict[str, list[float]] = {}

    def __getstate__(self) -> dict[str, Any]:
        settings = super().__getstate__()
        del settings["_costs_of"], settings["_proxies_of"]
        return settings

    def fill_in(self, space: Any, preview: Callable[[Mapping[str, Any]], Any]) -> None:
        """Takes what wasn't given when the sampler was made.

        An `optnas.Search` calls it. In plain Optuna, you do, with an `optnas.Objective`:
        `sampler.fill_in(objective.suggest, objective.preview)`.

        Args:
            space: See the class.
            preview: Gives a record of a trial's parameters, with `values` in place of `costs`, and
                `proxies`.
        """
        self._suggest = self._suggest or _suggest_of(space)
        self._costs = self._costs or partial(_part, preview, "values")
        self._proxies = self._proxies or partial(_part, preview, "proxies")

    def start(self, ask: Ask) -> Draw:
        """Decides on an architecture."""
        history = ask.history
        tried = [t for t in map(_at_best, history.trials) if may_be_parent(t)]
        tried = self._learned_from(tried, history.study.directions)
        sound = [trial for trial in tried if self._is_sound(genes_of(trial))]
        if len(tried) >= self._n_startup_trials and not sound:
            self._known_of(genes_of(tried[-1]))  # a mistake in costs or proxies: it shows here
        tried = sound
        if len(tried) < self._n_startup_trials:
            return ask.inherit(self._spread(ask))
        rng = ask.rng("predictor")
        predictor = Predictor(
            tried,
            [g for trial in history.running if self._is_sound(g := genes_of(trial))],
            history.study.directions,
            self._known_of,
        )
        suggest = self._suggest or learned_space(predictor.seen)
        pool = propose(predictor.parents, suggest, history.tried.root, rng, self._n_candidates)
        if not pool:
            return ask.inherit({})
        if self._costs is not None or self._proxies is not None:
            promise = predictor.screen(pool, rng)
            pool = [pool[i] for i in np.argsort(-promise, kind="stable")[: self._n_checked]]
            pool = [genes for genes in pool if self._is_sound(genes)]
            if not pool:
                return ask.inherit({})
        promise = predictor.judge(pool, rng)
        return ask.inherit(values_of(pool[int(np.argmax(promise))]))

    def _learned_from(
        self, trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]
    ) -> list[FrozenTrial]:
        if len(trials) <= MOST_TRIALS:
            return list(trials)
        best = set(best_first(trials, directions)[: MOST_TRIALS // 2])
        newest = [i for i in range(len(trials)) if i not in best][-(MOST_TRIALS - len(best)) :]
        return [trials[i] for i in sorted(best.union(newest))]

    def _known_of(self, genes: Genes) -> tuple[dict[int, float], list[float]]:
        """Costs by position, and proxies."""
        params = values_of(genes)
        key = str(params)
        if key not in self._proxies_of:
            proxies = {} if self._proxies is None else self._proxies(params)
            self._proxies_of[key] = list(proxies.values())
        return self._count(params), self._proxies_of[key]

    def _count(self, params: dict[str, Any]) -> dict[int, float]:
        key = str(params)
        if key not in self._costs_of:
            self._costs_of[key] = {} if self._costs is None else dict(self._costs(params))
        return self._costs_of[key]

    def _is_sound(self, genes: Genes) -> bool:
        """Whether its costs and proxies can be computed; a network that can't run fails here."""
        try:
            self._known_of(genes)
        except UNSOUND:
            return False
        return True

    def _spread(self, ask: Ask) -> dict[str, Any]:
        """A startup trial: of random architectures in order of costs, one from its part."""
        if self._suggest is None:
            return {}
        rng = ask.shared_rng("startup")
        maximize = [d == StudyDirection.MAXIMIZE for d in ask.history.study.directions]
        sample, costs = [], []
        for _ in range(SAMPLE):
            genes = complete(self._suggest, {}, rng)
            try:
                found = self._count(values_of(genes))
            except UNSOUND:
                continue  # a network that can't run
            if genes and not was_tried(ask.history.tried.root, genes):
                sample.append(genes)
                costs.append([-v if maximize[i] else v for i, v in found.items()])
        if not sample:
            return {}
        order = np.argsort(by_rank(np.array(costs, dtype=float)).sum(axis=1), kind="stable")
        parts = np.array_split(order, min(self._n_startup_trials, len(order)))
        rng.shuffle(parts)
        part = [sample[i] for i in parts[ask.place % len(parts)]]
        part = ask.rng("startup").sample(part, min(TRIALS_OF_A_PART, len(part)))
        part = [genes for genes in part if self._is_sound(genes)]
        if not part:
            return {}
        table = np.array([self._known_of(genes)[1] for genes in part], dtype=float)
        return values_of(part[int(np.argmax(by_rank(table).sum(axis=1)))])


def _at_best(trial: FrozenTrial) -> FrozenTrial:
    """A trial that was stopped early as if it had ended at its best; any other as it is.

    To learn nothing from it would lead to the like of it again and again. A trial is stopped when
    it looks worst: on average it would have ended closer to its best than to what was likely then.
    """
    if not is_stopped(trial):
        return trial
    ended = copy(trial)
    ended.state, ended.values = TrialState.COMPLETE, trial.user_attrs[STOPPED]["at_best"]
    return ended


def _part(preview: Callable[[Mapping[str, Any]], Any], name: str, params: Mapping[str, Any]) -> Any:
    return getattr(preview(params), name)


def _suggest_of(space: Any) -> Suggest | None:
    suggest: Suggest | None = getattr(space, "suggest", space)
    if suggest is not None and not callable(suggest):
        raise TypeError(f"space must be a SearchSpace or a function of a trial, got {space!r}")
    return suggest
