"""The acquisition value of architectures: the gain in hypervolume that is predicted of them.

Part of `predictor`, which has the outline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

import numpy as np
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from scipy.special import ndtr

from optnas.pareto.dominance import Array, losses, nondominated, tamed, unit
from optnas.pareto.hypervolume import gains
from optnas.pareto.noise import within_noise
from optnas.samplers import ensemble
from optnas.samplers.duplicates import duplicate_probability
from optnas.samplers.encoding import by_rank, encode
from optnas.samplers.ensemble import Ensemble, Member
from optnas.samplers.gaussian_process import CHOICES, Features, GaussianProcess, Noise
from optnas.samplers.known import Known
from optnas.samplers.mutation import Genes, genes_of
from optnas.samplers.ranking import violation
from optnas.samplers.repeats import relative_errors
from optnas.samplers.scaling import (
    CEILING,
    FRONT_CEILING,
    Modelled,
    excesses,
    fence,
    scaled_excess,
)
from optnas.samplers.success import SuccessModel
from optnas.study.objectives import objective_names

Told = Callable[..., dict[int, Array]]
"""Predicts what an older study tells of architectures (`optnas.samplers.lessons.Lessons`)."""

DRAWS = 4
"""Draws from the posterior at each trial."""
SAFE = 0.95
"""A probability of success that is large enough. The largest gain is often predicted at the edge of
where trials succeed: with a half, every other trial would fail."""
MOST = 1e128
"""Costs beyond it count as this one."""
REFERENCE = 1.1
"""The reference point, as a multiple of the range of values up to the ceiling."""


class Predictor:
    """Learns from trials, and computes the acquisition values of architectures.

    Args:
        trials: The trials to learn from: COMPLETE ones, and pruned ones that broke a constraint.
        running: The architectures of running trials.
        study: Has the names and directions of the objectives.
        counts: How many evaluations a trial's values are the mean of, by its number; else one.
        known: Computes an architecture's costs and proxies.
        limits: The reference point as losses, of shape `(objectives,)`: inf where there is none.
        success: What is learned from trials that failed, if any did.
        told: Predicts what an older study tells, if there is one.
        named: Whether names tell the networks apart, so that no proposal is a tried one.

    Attributes:
        seen: The architectures of the trials.
        parents: The members of the front, those within noise left out (`optnas.pareto.noise`); if
            no trial is feasible, the least infeasible ones.
        costs: The positions of the objectives that are known before training.
    """

    def __init__(
        self,
        trials: Sequence[FrozenTrial],
        running: Sequence[Genes],
        study: Study,
        counts: Mapping[int, int],
        known: Known,
        limits: Array,
        success: SuccessModel | None,
        told: Told | None,
        named: bool = False,
    ) -> None:
        self._success, self._told, self._named = success, told, named
        names, directions = objective_names(study), study.directions
        self.seen = [genes_of(trial) for trial in trials]
        self._running = list(running)
        self._known = known
        self._signs = np.array([-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in directions])
        self._complete = [i for i, t in enumerate(trials) if t.state == TrialState.COMPLETE]
        broken = np.array([violation(trial) for trial in trials])
        self.costs = sorted(known.costs(self.seen[0]))
        complete = [trials[i] for i in self._complete]
        self._losses = values = losses([trial.values for trial in complete], directions)
        self._evaluations = np.array([counts.get(trial.number, 1) for trial in complete])
        self._errors = relative_errors(complete, names)
        self._excess = [*excesses(trials), *self._beyond(values, limits)]
        self._scaled = Modelled(values)
        self._values = tamed(self._scaled(values))
        feasible = broken[self._complete] == 0
        self._front_rows = np.flatnonzero(feasible)
        self._within = False
        if feasible.any():
            within = feasible & (values <= limits).all(axis=1)
            self._within = bool(within.any())
            self._front_rows = np.flatnonzero(within if self._within else feasible)
            self._front_rows = self._front_rows[nondominated(self._values[self._front_rows])]
            noisy = within_noise([complete[i] for i in self._front_rows], names, directions)
            sure = [i for i in self._front_rows if complete[i].number not in noisy]
            self.parents = [self.seen[self._complete[i]] for i in sure or self._front_rows]
        else:
            best = np.flatnonzero(broken == broken.min())
            self.parents = [self.seen[i] for i in best]
        self._set_scale(self._scaled(limits[None])[0])

    def _beyond(self, values: Array, limits: Array) -> list[tuple[list[int], Array]]:
        """How far the COMPLETE trials lie beyond each limit on what is predicted (`excesses`)."""
        found = []
        for j, limit in enumerate(limits):
            if j in self.costs or not (values[:, j] > limit).any():
                continue
            scale = unit(np.array([[limit], *values[:, [j]]]))
            excess = (values[:, [j]] * scale - limit * scale)[:, 0]
            found.append((list(self._complete), scaled_excess(excess)))
        return found

    def screen(self, pool: Sequence[Genes], rng: Random) -> Array:
        """Acquisition values from the decisions alone, with predicted costs; see `acquisition`."""
        every = [*self.seen, *pool]
        choices, counts = encode(every)
        features = {CHOICES: choices, "counts": counts}
        seen = {name: x[: len(self.seen)] for name, x in features.items()}
        costs = np.zeros((len(every), len(self.costs)))
        exact = self._costs_of(self.seen)
        for column, values in enumerate(exact.T):
            costs[: len(values), column] = values
            process = GaussianProcess(ensemble.DECISIONS, seen, values, ensemble.FITTED)
            costs[len(values) :, column] = process.predict(_rows(features, len(values)))[0]
        return self._acquisition(
            features | {"costs": costs}, (ensemble.PLAIN,), every, pool, rng, known=False
        )

    def by_costs(self, pool: Sequence[Genes], rng: Random) -> Array:
        """Acquisition values from decisions and exact costs; see `acquisition`."""
        every = [*self.seen, *pool]
        members = (ensemble.PLAIN,)
        return self._acquisition(self._exact(every), members, every, pool, rng, known=False)

    def acquisition(self, pool: Sequence[Genes], rng: Random) -> Array:
        """Acquisition values from all that is known before training.

        Returns:
            The mean gain in hypervolume times the probability of success, of feasibility and of a
            new network, of shape `(architectures,)`. If no architecture gains anything, it is the
            negative distance from a gain.
        """
        every = [*self.seen, *pool, *self._running]
        proxies = by_rank(np.array([self._known(genes)[1] for genes in every], dtype=float))
        features = self._exact(every) | {"first proxy": proxies[:, :1], "proxies": proxies}
        members = ensemble.WITH_PROXIES if proxies.shape[1] else ensemble.WITHOUT_PROXIES
        return self._acquisition(features, members, every, pool, rng, known=True)

    def _noise(self, j: int) -> Noise:
        """What is known of the noise in an objective as it is modelled."""
        size = 1.0 if self._scaled.logs[j] else np.abs(self._values[:, j])
        return Noise(self._evaluations, self._errors[:, j] * size)

    def _exact(self, architectures: Sequence[Genes]) -> dict[str, Array]:
        """Features: decisions, counts of them, and the exact costs as they are modelled."""
        choices, counts = encode(architectures)
        return {CHOICES: choices, "counts": counts, "costs": self._costs_of(architectures)}

    def _costs_of(self, architectures: Sequence[Genes]) -> Array:
        """The exact costs as they are modelled, of shape `(architectures, costs)`."""
        table = np.zeros((len(architectures), len(self._signs)))
        for row, genes in zip(table, architectures, strict=True):
            for position, value in self._known.costs(genes).items():
                row[position] = self._signs[position] * value
        return np.clip(self._scaled(table)[:, self.costs], -MOST, MOST)

    def _acquisition(
        self,
        features: dict[str, Array],
        members: Sequence[Member],
        every: Sequence[Genes],
        pool: Sequence[Genes],
        rng: Random,
        *,
        known: bool,
    ) -> Array:
        """Acquisition values of the pool, which comes after the seen ones in `every`."""
        number = len(pool)
        costs = features["costs"]
        spread = costs.std(axis=0)
        features["costs"] = (costs - costs.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        seen, others = len(self.seen), len(every) - len(self.seen)
        feasible = self._feasibility(features, pool)
        if len(self._values) < 2 or not len(self._front):
            return feasible
        predicted = [j for j in range(len(self._signs)) if j not in self.costs]
        told = {} if self._told is None else self._told(every, predicted, known=known)
        guesses: dict[int, Ensemble] = {}
        believed = np.zeros((others, len(self._signs)))
        believed[:, self.costs] = costs[seen:]
        for j in predicted:
            used, own = members, features
            if j in told:
                used = ensemble.with_source(members)
                own = features | {"source": by_rank(told[j][:, None])}
            own_seen = {name: x[self._complete] for name, x in own.items()}
            targets, noise = self._targets[:, j], self._noise(j)
            guesses[j] = Ensemble(used, own_seen, targets, noise, _rows(own, seen))
            believed[:, j] = guesses[j].mean
        front = np.vstack([self._front, self._unit(believed[number:])])
        gained = []
        for _ in range(DRAWS):
            drawn = believed[:number].copy()
            for j, guess in guesses.items():
                drawn[:, j] = guess.draw(rng)[:number]
            gained.append(gains(self._unit(drawn), front, self._reference))
        mean_gain: Array = np.maximum(gained, 0.0).mean(axis=0) * feasible
        return mean_gain if (mean_gain > 0).any() else np.mean(gained, axis=0) + feasible

    def _feasibility(self, features: Features, pool: Sequence[Genes]) -> Array:
        """The probability that a trial succeeds, breaks no constraint and has a new network.

        Those with a probability below a half of being feasible, or of a new network, or below
        `SAFE` of success, become 0 if any others are above: a large gain must not outweigh a small
        probability.
        """
        probability: Array = np.ones(len(pool))
        start = len(self.seen)
        asked = {n: x[start:][: len(pool)] for n, x in features.items()}
        for rows, excess in self._excess:
            process = GaussianProcess(
                ensemble.PLAIN,
                {n: x[rows] for n, x in features.items()},
                excess,
                ensemble.FITTED,
            )
            mean, deviation = process.predict(asked)
            probability *= np.asarray(ndtr(-mean / deviation), dtype=float)
        likely = probability >= 0.5
        if self._success is not None:
            success = self._success.probability(pool)
            probability, likely = probability * success, likely & (success >= SAFE)
        if not self._named:
            codes, asks = (features[CHOICES], features["counts"]), slice(start, start + len(pool))
            new = 1.0 - duplicate_probability(codes, asks, self._complete, self._losses)
            probability, likely = probability * new, likely & (new >= 0.5)
        if likely.any():
            probability[~likely] = 0.0
        return probability

    def _unit(self, values: Array) -> Array:
        """Scales losses to 0 for the best and 1 for the worst below the ceiling."""
        scaled: Array = (values - self._ideal) / self._extent
        return scaled

    def _set_scale(self, limits: Array) -> None:
        """Sets the scale on which hypervolume is measured, and the front on that scale.

        Args:
            limits: The reference point, scaled as the values are.
        """
        self._reference = np.full(len(self._signs), REFERENCE)
        front = self._values[self._front_rows]
        self._front = front
        if not len(front):
            return
        ceiling = np.full(len(self._signs), np.inf)
        for j in range(len(ceiling)):
            if j not in self.costs:
                ceiling[j] = max(
                    fence(self._values[:, j], CEILING), fence(front[:, j], FRONT_CEILING)
                )
        if self._within:
            ceiling = np.where(np.isfinite(limits), limits, ceiling)
        self._targets = np.minimum(self._values, ceiling)
        self._ideal = self._targets.min(axis=0)
        extent = np.ptp(self._targets, axis=0)
        self._extent = np.where(extent > 0, extent, 1.0)
        if self._within:  # nothing beyond the reference point gains
            place = np.where(extent > 0, self._unit(limits), 1.0)
            known = np.isfinite(limits)
            self._reference[known] = np.minimum(place, REFERENCE)[known]
        self._front = self._unit(self._targets[self._front_rows])


def _rows(features: Features, start: int) -> dict[str, Array]:
    return {name: x[start:] for name, x in features.items()}
