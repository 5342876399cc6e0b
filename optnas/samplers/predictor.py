"""Bayesian optimisation with a predictor that knows the costs.

Most objectives of architecture search are known before any training. General-purpose samplers
model them as black boxes, as they do the loss; here they are exact, and only the rest is predicted.

Outline of `start`, which decides on one trial:
1. The first trials are spread over the costs (`startup`).
2. `aim` predicts the median score of random architectures. In every other trial it is a limit, as
   if it were the study's reference point.
3. `acquisition.Predictor` learns from at most 200 trials; `repeats` has the means of those that
   evaluated one network. An `ensemble` predicts each unknown objective, with features from
   `encoding`: the decisions, counts of them, costs and proxies. What an older study predicts is one
   more feature (`source`, `lessons`). Where the space names no networks, `duplicates` learns which
   parameters stand for the same one.
4. `proposals` makes 200 new architectures, as the space draws them. `learned_space` infers from the
   trials what the space leaves out (`given_space`); without one, all of it.
5. `shortlist` keeps the 40 with the largest acquisition value, going by their decisions, computes
   their costs, and keeps the best 16.
6. Their proxies are computed, and `Predictor.acquisition` takes the best.

Sources: the gain in hypervolume under random draws from the posterior is Bradford, Schweidtmann and
Lapkin, Efficient multiobjective optimization employing Gaussian processes, spectral sampling and a
genetic algorithm, Journal of Global Optimization 2018; an ensemble that screens an evolving pool is
White, Neiswanger and Savani, BANANAS, AAAI 2021 (arXiv 1910.11858); zero-cost proxies as features
are White et al., How powerful are performance predictors in neural architecture search?, NeurIPS
2021 (arXiv 2104.01177).

What differs: the costs are exact, in the gain and as features; and the members of the ensemble are
Gaussian processes on different features, weighted by how well they predict trials left out.

Defaults: chosen on NAS-Bench-201 with CIFAR-10 (benchmarks/samplers_nb201.py), those of the aim
also on NAS-Bench-Graph with Cora and PubMed, those of duplicates on all its graphs
(benchmarks/samplers_tables.py); the other tables were kept for validation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.pareto.dominance import Array
from optnas.pareto.reference_limits import is_given
from optnas.samplers.ask import Ask, Draw
from optnas.samplers.base import HistorySampler
from optnas.samplers.given_space import GivenSpace
from optnas.samplers.history import History
from optnas.samplers.known import Costs, Known, Proxies, part_of
from optnas.samplers.lessons import Lessons
from optnas.samplers.mutation import Genes, genes_of, near_baseline, near_best, values_of
from optnas.samplers.names import UNSOUND, Suggest, suggest_of
from optnas.samplers.proposals import propose
from optnas.samplers.ranking import at_best, best_and_newest, best_first, may_be_parent
from optnas.samplers.repeats import Networks
from optnas.samplers.source import Source
from optnas.samplers.startup import Startup
from optnas.samplers.success import Outcomes
from optnas.utils.checks import check_counts

MOST_TRIALS = 200
"""The most trials that are learned from: half of them the best, the others the newest."""


class PredictorSampler(HistorySampler):
    """Proposes many architectures, and takes the one with the largest expected hypervolume.

    For each trial it makes 200 new architectures, from members of the front and at random, and
    predicts their costs and losses from the decisions. For the 40 most promising it computes the
    costs, and predicts the losses again. For the best 16 of these it computes zero-cost proxies,
    and predicts the losses with all of that as features. It takes the one with the largest gain in
    hypervolume, averaged over four draws from the posterior and multiplied by the probability that
    no constraint is broken (0 if that is below a half), that the trial doesn't fail (0 if that is
    below 0.95) and, without names, that the network wasn't tried with other parameters (0 if that
    is below a half). Running trials count as if they had ended as predicted, so that a batch is
    diverse; trials that were stopped early count as if they had ended at their best.

    Unless the study's reference says how good the score must be, in every other trial only networks
    gain whose score is better than the median of random ones: else most trials would go to networks
    that are small and learn little. The score is the first objective that isn't in `costs`; in a
    `Search`, the first that the training gives.

    The startup trials are spread over the costs; each is the best of four by its proxies.

    All arguments are optional. Without `space`, architectures are made from past trials alone.
    Without `costs`, all objectives are predicted, so the sampler works for any objective in plain
    Optuna. An `optnas.Search` fills in what is left out.

    Example:
        ```python
        import optuna

        import optnas


        def objective(trial):
            width = trial.suggest_int("width", 1, 100)
            return 1 / width, width


        study = optuna.create_study(
            directions=["minimize", "minimize"],
            sampler=optnas.PredictorSampler(costs=lambda params: {1: params["width"]}, seed=0),
        )
        study.optimize(objective, n_trials=10)
        ```

    Args:
        space: A `SearchSpace`, or a function that draws from a trial all that the objective draws,
            a learning rate included, and nothing else. What it leaves out is learned from the
            trials. If it leaves out nothing, no architecture is proposed whose name, its `str`, is
            that of a tried one; a function that returns None, or a module, names none.
        costs: Gives the objectives that are known before training, by position, from a trial's
            parameters: `{1: 2500}`, if the second one is 2,500.
        proxies: Gives further numbers that are known before training, by name, from a trial's
            parameters; larger should mean better, and the most telling come first.
            They must be the same at every call, as must the costs.
        source: An older study of the same or a similar space, which any sampler made. Its COMPLETE
            trials (at most 200) are those of another task: only ranks count, and what they are
            worth is learned from this study's trials. Objectives are matched by name, or by
            position where they have none. The study keeps which trials.
        n_startup_trials: The number of first trials, spread over the costs; half with a `source`.
        n_candidates: The number of architectures that are proposed for each trial.
        n_checked: The number of these whose costs are computed (five times it of a source).
        n_proxies: The number of those whose proxies are computed (of all, if no costs are known).
        seed: The study's seed. Without one, the sampler takes the seed that the study keeps, or
            draws one and keeps it there.

    Raises:
        ValueError: A number is out of range, or nothing can be learned from `source`.
        TypeError: An argument is of the wrong kind.

    An architecture for which `costs` or `proxies` raise, or a cost is NaN, isn't chosen. If they
    raise for all, the error is raised.
    """

    def __init__(
        self,
        space: Any = None,
        costs: Costs | None = None,
        *,
        proxies: Proxies | None = None,
        source: Study | None = None,
        n_startup_trials: int = 6,
        n_candidates: int = 200,
        n_checked: int = 40,
        n_proxies: int = 16,
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        check_counts(
            n_startup_trials=n_startup_trials,
            n_candidates=n_candidates,
            n_checked=n_checked,
            n_proxies=n_proxies,
        )
        for name, given in (("costs", costs), ("proxies", proxies)):
            if not (given is None or callable(given)):
                raise TypeError(f"{name} must be a function of parameters, got {given!r}")
        self._given = suggest_of(space), costs, proxies
        suggest, self._costs, self._proxies = self._given
        self._space = GivenSpace(suggest)
        self._known = Known(costs, proxies)
        self._source = self._own_source = None if source is None else Source(source)
        self._n_startup_trials = n_startup_trials
        self._n_candidates = n_candidates
        self._n_checked, self._n_proxies = n_checked, n_proxies

    def _forget(self) -> None:
        super()._forget()
        self._lessons: Lessons | None = None
        self._startup = Startup()

    def __getstate__(self) -> dict[str, Any]:
        known = Known(self._costs, self._proxies)
        return super().__getstate__() | {"_known": known, "_lessons": None}

    def fill_in(self, suggest: Suggest, preview: Callable[[Mapping[str, Any]], Any]) -> None:
        """Takes what wasn't given when the sampler was made, too; of the last objective that calls.

        Args:
            suggest: In place of `space`.
            preview: Its `values` are in place of `costs`, and its `proxies` of those.
        """
        super().fill_in(suggest, preview)
        own, costs, proxies = self._given
        self._space = GivenSpace(own) if own else GivenSpace(suggest, self._names)
        self._costs = costs or partial(part_of, preview, "values")
        self._proxies = proxies or partial(part_of, preview, "proxies")
        self._known, self._lessons = Known(self._costs, self._proxies), None

    def learn_from(self, source: Source | None) -> Source | None:
        """Takes an older study in place of the given one; an `optnas.Search` calls it."""
        self._source = source or self._own_source
        return self._source

    def start(self, ask: Ask) -> Draw:
        """Decides on an architecture."""
        history = ask.history
        self._known.begin(history.study)
        tried = [t for t in map(at_best, history.trials) if may_be_parent(t)]
        networks = history.fold(Networks, Networks.add)
        tried, counts = networks.pooled(tried, history.repeats.means)
        tried = best_and_newest(tried, history.study.directions, history.limits, MOST_TRIALS)
        self._known.check(history.study, tried, strict=self._preview is not None)
        sound = [trial for trial in tried if self._known.is_sound(genes_of(trial))]
        if len(tried) >= self._n_startup_trials and not sound:
            self._known(genes_of(tried[-1]))  # raises the error in costs or proxies
        tried = sound
        startup = self._n_startup_trials // (2 if self._source else 1) or 1
        lessons = self._learned(ask, tried if len(tried) >= startup else ())
        if len(tried) < startup:
            return ask.inherit(near_baseline(ask) or self._spread(ask, lessons))
        rng, number = ask.rng("predictor"), self._n_candidates
        if ask.attempt:  # no proposal of the whole pool kept the bounds: a quick look elsewhere
            best = best_first(tried, history.study.directions, history.limits)
            return ask.inherit(near_best([tried[i] for i in best], rng))
        # Not above: it imports scipy, which takes half a second.
        from optnas.samplers.acquisition import Predictor
        from optnas.samplers.shortlist import shortlist

        suggest = self._space.whole(history, tried)
        running = [g for trial in history.running if self._known.is_sound(g := genes_of(trial))]
        limits = self._limits(ask, tried, suggest)
        success = history.fold(Outcomes, Outcomes.add).model
        told, older = (lessons.predict, lessons.best) if lessons else (None, ())
        names = self._space.names(history)
        study, known, named = history.study, self._known, bool(names)
        predictor = Predictor(tried, running, study, counts, known, limits, success, told, named)
        pool = propose(predictor.parents, suggest, ask.tried, names, rng, number, older, ask.fixed)
        if pool:
            bounds = partial(self._keeps_bounds, history=history)
            numbers = self._n_checked, self._n_proxies
            pool = shortlist(pool, predictor, self._known, bounds, *numbers, rng)
        if not pool:
            return ask.inherit({})
        value = predictor.acquisition(pool, rng)
        return ask.inherit(values_of(pool[int(np.argmax(value))]))

    def _limits(self, ask: Ask, tried: Sequence[FrozenTrial], suggest: Suggest) -> Array:
        """The study's reference point; in its turn, a nearer one in the score (see `aim`)."""
        limits, study = ask.history.limits, ask.history.study
        score = self._score(len(limits), genes_of(tried[0]))
        turn = ask.place % 2 == 1 and len(limits) > 1
        if not turn or score is None or is_given(study, limits, score):
            return limits
        from optnas.samplers.aim import median_loss

        median = median_loss(tried, self._space.sample(ask, suggest), study.directions, score)
        nearer = limits.copy()
        nearer[score] = min(median, limits[score])
        return nearer

    def _learned(self, ask: Ask, tried: Sequence[FrozenTrial]) -> Lessons | None:
        """What an older study teaches; `tried` shows the new space, if none is given."""
        if self._source is None:
            return None
        study, suggest = ask.history.study, self._space.suggest
        taught = self._source.taught(study)
        if self._lessons is None or self._lessons.taught is not taught:
            rng = ask.shared_rng("source")
            self._lessons = Lessons(taught, suggest, self._known, rng, 5 * self._n_checked)
        known = self._space.sample(ask, suggest) if suggest else [genes_of(t) for t in tried]
        self._lessons.check(known, len(study.directions))
        return self._lessons

    def _score(self, objectives: int, seen: Genes) -> int | None:
        """The position of the score; `seen` is any architecture that was tried."""
        if self._preview is not None:
            score: int | None = self._preview({}).score
            return score
        told = self._known.told(seen)  # a cost that is wrong isn't the score
        return next((i for i in range(objectives) if i not in told), None)

    def _keeps_bounds(self, genes: Genes, history: History) -> bool:
        try:
            return self.known_excess(values_of(genes), history) == (0.0, 0.0)
        except UNSOUND:
            return False

    def _is_counted(self, genes: Genes) -> bool:
        return self._known.is_counted(genes)

    def _spread(self, ask: Ask, lessons: Lessons | None) -> dict[str, Any]:
        """A startup trial."""
        suggest = self._space.suggest
        if suggest is None:
            return {}
        bounds, number = partial(self._keeps_bounds, history=ask.history), self._n_startup_trials
        return self._startup.spread(ask, suggest, self._known, bounds, number, lessons)
