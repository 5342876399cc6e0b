"""What a few trials say about architectures that weren't tried: all objectives, and the gain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from scipy.special import ndtr

from optnas.pareto.dominance import Array, gains, losses, nondominated
from optnas.samplers.encoding import by_rank, choices, counts
from optnas.samplers.gaussian_process import CHOICES, Features, GaussianProcess, Term
from optnas.samplers.genes import Genes, genes_of
from optnas.samplers.ranking import violation

Known = Callable[[Genes], tuple[dict[int, float], list[float]]]

DRAWS = 4
"""From the posterior, for each trial."""
GREED = 0.5
"""How much more a member's predictions of good trials count than those of bad ones."""
FITTED = 80
"""Hyperparameters are fitted to so many trials."""
CEILING, FRONT_CEILING = 1.0, 1.5
"""Interquartile ranges above the upper quartile of all trials, and of the front (Tukey's fence),
beyond which all values are alike: how bad a bad network is teaches nothing about good ones."""
REFERENCE = 1.1
"""The reference point, as a multiple of the range of values up to the ceiling."""

DECISIONS = (Term((CHOICES,), smooth=False), Term(("counts",)))
PLAIN = (*DECISIONS, Term(("costs",)))
WITHOUT_PROXIES = (PLAIN, (Term((CHOICES, "costs")), Term(("counts",))))
WITH_PROXIES = (
    PLAIN,
    (*PLAIN, Term(("first proxy",))),
    (*PLAIN, Term(("proxies",))),
    (Term((CHOICES, "proxies")), Term(("counts",))),
)
"""The features of the ensemble's members."""


class Predictor:
    """Learns from trials, and judges architectures.

    Args:
        trials: Those to learn from: COMPLETE ones, and pruned ones that broke a constraint.
        running: The architectures of running trials.
        directions: Of the objectives.
        known: Gives an architecture's costs, by position, and its proxies.
    """

    def __init__(
        self,
        trials: Sequence[FrozenTrial],
        running: Sequence[Genes],
        directions: Sequence[StudyDirection],
        known: Known,
    ) -> None:
        self.seen = [genes_of(trial) for trial in trials]
        self._running = list(running)
        self._known = known
        self._signs = np.array([-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in directions])
        self._complete = [i for i, t in enumerate(trials) if t.state == TrialState.COMPLETE]
        broken = np.array([violation(trial) for trial in trials])
        self._excess = _excesses(trials)
        values = losses([trials[i].values for i in self._complete], directions)
        self._logs = np.array([(v[np.isfinite(v)] > 0).all() for v in values.T], dtype=bool)
        self._values = _within(self._scaled(values))
        feasible = broken[self._complete] == 0
        self._front_rows = np.flatnonzero(feasible)
        if feasible.any():
            stays = nondominated(self._values[feasible])
            self._front_rows = self._front_rows[stays]
            self.parents = [self.seen[self._complete[i]] for i in self._front_rows]
        else:
            best = np.flatnonzero(broken == broken.min())
            self.parents = [self.seen[i] for i in best]
        self.costs = sorted(known(self.seen[0])[0])
        """Positions of the objectives that are known before training."""
        self._measure()

    def _scaled(self, values: Array) -> Array:
        """Losses as they are modelled: of what is always positive, the logarithm."""
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(np.maximum(values, np.finfo(float).tiny))
        return np.where(self._logs, logs, values)

    def screen(self, pool: Sequence[Genes], rng: Random) -> Array:
        """What each architecture promises going by its decisions alone, costs predicted too."""
        every = [*self.seen, *pool]
        features = {CHOICES: choices(every), "counts": counts(every)}
        seen = {name: x[: len(self.seen)] for name, x in features.items()}
        costs = np.zeros((len(every), len(self.costs)))
        exact = self._costs_of(self.seen)
        for column, values in enumerate(exact.T):
            costs[: len(values), column] = values
            process = GaussianProcess(DECISIONS, seen, values, FITTED)
            costs[len(values) :, column] = process.predict(_rows(features, len(values)))[0]
        return self._promise(features | {"costs": costs}, (PLAIN,), len(pool), rng)

    def judge(self, pool: Sequence[Genes], rng: Random) -> Array:
        """What each architecture promises going by all that can be known before training.

        Returns:
            The mean gain in hypervolume times the probability that it is feasible, of shape
            `(architectures,)`; where nothing would gain, a negative distance from doing so.
        """
        every = [*self.seen, *pool, *self._running]
        proxies = by_rank(np.array([self._known(genes)[1] for genes in every], dtype=float))
        features = {
            CHOICES: choices(every),
            "counts": counts(every),
            "costs": self._costs_of(every),
            "first proxy": proxies[:, :1],
            "proxies": proxies,
        }
        ensemble = WITH_PROXIES if proxies.shape[1] else WITHOUT_PROXIES
        return self._promise(features, ensemble, len(pool), rng)

    def _costs_of(self, architectures: Sequence[Genes]) -> Array:
        """Exact costs as they are modelled, of shape `(architectures, costs)`."""
        table = np.zeros((len(architectures), len(self._signs)))
        for row, genes in zip(table, architectures, strict=True):
            for position, value in self._known(genes)[0].items():
                row[position] = self._signs[position] * value
        return self._scaled(table)[:, self.costs]

    def _promise(
        self,
        features: dict[str, Array],
        ensemble: Sequence[Sequence[Term]],
        number: int,
        rng: Random,
    ) -> Array:
        """Of the `number` architectures that follow the seen ones in `features`."""
        costs = features["costs"]
        spread = costs.std(axis=0)
        features["costs"] = (costs - costs.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        seen, others = len(self.seen), len(features[CHOICES]) - len(self.seen)
        feasible = self._feasibility(features, number)
        if len(self._values) < 2 or not len(self._front):
            return feasible
        asked = _rows(features, seen)
        guesses: dict[int, tuple[list[tuple[Array, Array]], list[float]]] = {}
        believed = np.zeros((others, len(self._signs)))
        believed[:, self.costs] = costs[seen:]
        known = {name: x[self._complete] for name, x in features.items()}
        for j in range(len(self._signs)):
            if j not in self.costs:
                members = [GaussianProcess(t, known, self._targets[:, j], FITTED) for t in ensemble]
                trust = np.array([member.leave_one_out(GREED) for member in members])
                weights = np.exp(trust - trust.max())
                predictions = [member.predict(asked) for member in members]
                guesses[j] = predictions, weights.tolist()
                means = np.array([mean for mean, _ in predictions])
                believed[:, j] = weights @ means / weights.sum()
        front = np.vstack([self._front, self._unit(believed[number:])])
        gained = []
        for _ in range(DRAWS):
            drawn = believed[:number].copy()
            for j, (predictions, weight) in guesses.items():
                mean, deviation = rng.choices(predictions, weight)[0]
                drawn[:, j] = (mean + rng.gauss(0, 1) * deviation)[:number]
            reference = np.full(front.shape[1], REFERENCE)
            gained.append(gains(self._unit(drawn), front, reference))
        mean_gain: Array = np.maximum(gained, 0.0).mean(axis=0) * feasible
        return mean_gain if (mean_gain > 0).any() else np.mean(gained, axis=0) + feasible

    def _feasibility(self, features: Features, number: int) -> Array:
        """The probability, for each architecture asked about, that no constraint is broken.

        Below a half it counts as 0, where others are above: a large gain must not outweigh that.
        """
        probability: Array = np.ones(number)
        asked = {n: x[len(self.seen) :][:number] for n, x in features.items()}
        for rows, excess in self._excess:
            process = GaussianProcess(
                PLAIN, {n: x[rows] for n, x in features.items()}, excess, FITTED
            )
            mean, deviation = process.predict(asked)
            probability *= np.asarray(ndtr(-mean / deviation), dtype=float)
        likely = probability >= 0.5
        if likely.any():
            probability[~likely] = 0.0
        return probability

    def _unit(self, values: Array) -> Array:
        """From 0, the best, to 1, the worst below the ceiling."""
        scaled: Array = (values - self._ideal) / self._extent
        return scaled

    def _measure(self) -> None:
        """The scale of the gain, and the front on it."""
        front = self._values[self._front_rows]
        self._front = front
        if not len(front):
            return
        ceiling = np.full(len(self._signs), np.inf)
        for j in range(len(ceiling)):
            if j not in self.costs:
                ceiling[j] = max(
                    _fence(self._values[:, j], CEILING), _fence(front[:, j], FRONT_CEILING)
                )
        self._targets = np.minimum(self._values, ceiling)
        self._ideal = self._targets.min(axis=0)
        extent = np.ptp(self._targets, axis=0)
        self._extent = np.where(extent > 0, extent, 1.0)
        self._front = self._unit(self._targets[self._front_rows])


def _rows(features: Features, start: int) -> dict[str, Array]:
    return {name: x[start:] for name, x in features.items()}


def _fence(values: Array, ranges: float) -> float:
    """So many interquartile ranges above the upper quartile; infinite where that range is 0."""
    lower, upper = np.quantile(values, [0.25, 0.75])
    return float(upper + ranges * (upper - lower)) if upper > lower else np.inf


def _within(values: Array) -> Array:
    """Infinite values become the largest, or smallest, finite one of their objective."""
    finite = np.isfinite(values)
    low = np.where(finite, values, np.inf).min(axis=0, initial=np.inf)
    high = np.where(finite, values, -np.inf).max(axis=0, initial=-np.inf)
    inside: Array = np.clip(np.nan_to_num(values, nan=np.inf), low, high)
    return np.where(np.isfinite(inside), inside, 0.0)


def _excesses(trials: Sequence[FrozenTrial]) -> list[tuple[list[int], Array]]:
    """For each constraint that was broken: the trials it is known of, and by how much.

    In logarithms on both sides of 0, in units of the median.
    """
    found: dict[str, dict[int, float]] = {}
    for row, trial in enumerate(trials):
        for name, value in trial.constraints.items():
            found.setdefault(name, {})[row] = value
    excesses = []
    for by_row in found.values():
        values = _within(np.array(list(by_row.values()))[:, None])[:, 0]
        if (values > 0).any():
            unit = float(np.median(np.abs(values))) or 1.0
            excesses.append((list(by_row), np.sign(values) * np.log1p(np.abs(values) / unit)))
    return excesses
