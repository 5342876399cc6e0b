"""Gaussian processes over architectures (part of `predictor`, which has the outline).

Source: Rasmussen and Williams, Gaussian processes for machine learning, 2006; the leave-one-out
density is its equation 5.10 to 5.12. The kernel is a sum of terms, each over a few groups of
features: so effects that few trials show (the loss falls with the size) aren't drowned by effects
that take many trials to learn (the interplay of decisions). All hyperparameters have priors, which
make a fit to ten trials sensible; the fit is the mode of their posterior.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from optnas.pareto.dominance import Array
from optnas.samplers.encoding import ABSENT

Features = Mapping[str, Array]
"""Groups of features, by name; each has shape `(architectures, features)`."""
Rows = NDArray[np.intp]

CHOICES = "choices"
"""The group of features that are decisions; their distance is at most 1 (`encoding.choices`)."""
ITERATIONS = 40
"""The most iterations of a fit."""
NOISE = 0.01
"""The prior median of the noise's variance; targets have variance 1."""
SPREAD_OF_SCALES, SPREAD_OF_WEIGHTS = 1.5, 0.5
"""The spreads of the log-normal priors of variances, and of the weights of features."""
JITTER = 1e-6
"""Added to the kernel's diagonal, so that it can be factorised."""


@dataclass(frozen=True)
class Term:
    """One summand of the kernel.

    Attributes:
        groups: The groups of features; their weighted distances are added up.
        smooth: Whether the correlation is Matérn's with ν = 5/2; otherwise it is exp(-distance).
    """

    groups: tuple[str, ...]
    smooth: bool = True


@dataclass(frozen=True)
class Noise:
    """What is known of the noise in targets.

    Attributes:
        evaluations: How many evaluations each target is the mean of, of shape `(architectures,)`.
            The variance of an evaluation is fitted, and divided by it.
        errors: A known standard deviation of each target, of shape `(architectures,)`, which comes
            on top.
    """

    evaluations: Array
    errors: Array


class GaussianProcess:
    """The posterior over a function of architectures.

    Args:
        terms: The summands of the kernel.
        features: The features of the architectures seen.
        targets: Their values, of shape `(architectures,)`, without NaN.
        fitted: The number of architectures, evenly spaced, that the hyperparameters are fitted to.
        noise: What is known of the noise in the targets; by default each is one evaluation.
    """

    def __init__(
        self,
        terms: Sequence[Term],
        features: Features,
        targets: Array,
        fitted: int,
        noise: Noise | None = None,
    ) -> None:
        self._terms = [
            Term(groups, term.smooth)
            for term in terms
            if (groups := tuple(g for g in term.groups if features[g].shape[1]))
        ]
        self._features = {g: features[g] for term in self._terms for g in term.groups}
        self._mean, self._scale = float(targets.mean()), float(targets.std()) or 1.0
        self._targets = (targets - self._mean) / self._scale
        known = noise or Noise(np.ones(len(targets)), np.zeros(len(targets)))
        self._shares, self._errors = 1 / known.evaluations, (known.errors / self._scale) ** 2
        self._theta = self._fit(np.unique(np.linspace(0, len(targets) - 1, fitted).astype(int)))
        kernel = self._kernel(self._features, self._theta)
        kernel[np.diag_indices_from(kernel)] += self._variances(self._theta) + JITTER
        self._factor = cho_factor(kernel, lower=True, overwrite_a=True, check_finite=False)
        self._alpha = cho_solve(self._factor, self._targets)

    def predict(self, features: Features) -> tuple[Array, Array]:
        """Predicts the function without noise.

        Returns:
            Mean and standard deviation, each of shape `(architectures,)`.
        """
        cross = self._kernel(features, self._theta)
        reduced = solve_triangular(self._factor[0], cross.T, lower=True, check_finite=False)
        prior = sum(np.exp(self._theta[i]) for i in self._offsets())
        variance = np.maximum(prior - (reduced**2).sum(axis=0), 1e-8)
        mean = cross @ self._alpha
        return mean * self._scale + self._mean, np.sqrt(variance) * self._scale

    def leave_one_out(self, greed: float) -> float:
        """Scores how well each target is predicted from the others: the sum of log densities.

        Args:
            greed: A target that is 1/greed standard deviations larger has 1/e of the weight.
        """
        variance = 1 / np.diag(dpotri(self._factor[0], lower=1)[0])
        residuals = self._alpha * variance
        density = -0.5 * (np.log(variance) + residuals**2 / variance)
        weights = np.exp(-greed * self._targets)
        return float((density * weights).sum() / weights.sum() * len(density))

    def _variances(self, theta: Array) -> Array:
        """The variance of the noise in each target."""
        found: Array = np.exp(theta[0]) * self._shares + self._errors
        return found

    def _offsets(self) -> list[int]:
        """The index in theta of each term's variance; the term's weights follow it."""
        offsets, at = [], 1
        for term in self._terms:
            offsets.append(at)
            at += 1 + sum(self._features[g].shape[1] for g in term.groups)
        return offsets

    def _priors(self) -> tuple[Array, Array]:
        """The medians and spreads of the logarithms of all hyperparameters."""
        medians, spreads = [np.log(NOISE)], [SPREAD_OF_SCALES]
        for term in self._terms:
            medians.append(-np.log(len(self._terms)))
            spreads.append(SPREAD_OF_SCALES)
            for group in term.groups:
                x = self._features[group]
                # So that two architectures that share no decision are 3 apart on average.
                active = max((x != ABSENT).sum(axis=1).mean(), 1.0)
                weight = 3 / active if group == CHOICES else min(0.2, 1 / x.shape[1])
                medians += [np.log(weight)] * x.shape[1]
                spreads += [SPREAD_OF_WEIGHTS] * x.shape[1]
        return np.array(medians), np.array(spreads)

    def _kernel(self, rows: Features, theta: Array) -> Array:
        """The covariances of architectures with those seen, of shape `(rows, seen)`."""
        kernel = np.zeros((len(next(iter(rows.values()))), len(self._targets)))
        for term, at in zip(self._terms, self._offsets(), strict=True):
            distance, start = np.zeros_like(kernel), at + 1
            for group in term.groups:
                weights = np.exp(theta[start : start + rows[group].shape[1]])
                start += len(weights)
                distance += _weighted(rows[group], self._features[group], weights, group)
            kernel += np.exp(theta[at]) * _correlation(distance, term.smooth)[0]
        return kernel

    def _fit(self, rows: Rows) -> Array:
        """Finds the posterior mode by L-BFGS, from the medians and in units of the spreads.

        A pair of architectures is looked at once: distances are kept for the pairs below the
        kernel's diagonal, in the order in which LAPACK has them in memory.
        """
        medians, spreads = self._priors()
        n, targets = len(rows), self._targets[rows]
        shares, errors = self._shares[rows], self._errors[rows]
        later, earlier = _pairs(n)
        below = earlier * n + later
        stacks = [
            np.concatenate(
                [_differences(self._features[g][rows], later, earlier, g) for g in term.groups]
            )
            for term in self._terms
        ]
        offsets = self._offsets()

        def loss(away: Array) -> tuple[float, Array]:
            theta = medians + away * spreads
            noise, scales = np.exp(theta[0]), np.exp(theta[offsets])
            slope = np.zeros_like(theta)
            covariance, parts = np.zeros(len(below)), []
            for stack, term, at, scale in zip(stacks, self._terms, offsets, scales, strict=True):
                weights = np.exp(theta[at + 1 : at + 1 + len(stack)])
                value, falling = _correlation(weights @ stack, term.smooth)
                value, falling = scale * value, scale * falling
                covariance += value
                parts.append((at, scale, value, falling, weights, stack))
            kernel = np.zeros(n * n)
            kernel[below] = covariance
            kernel[:: n + 1] = scales.sum() + noise * shares + errors + JITTER
            factor, failed = dpotrf(kernel.reshape(n, n, order="F"), lower=1, overwrite_a=1)
            if failed:
                return 1e10, away
            likelihood = np.log(np.diag(factor)).sum()
            alpha, _ = dpotrs(factor, targets, lower=1)
            likelihood += 0.5 * targets @ alpha
            inverse = dpotri(factor, lower=1, overwrite_c=1)[0].ravel(order="F")
            # Off the diagonal, for both halves; on it, the sum.
            outside = inverse[below] - alpha[later] * alpha[earlier]
            diagonal = 0.5 * (inverse[:: n + 1] - alpha**2)
            trace = diagonal.sum()
            slope[0] = diagonal @ shares * noise
            for at, scale, value, falling, weights, stack in parts:
                slope[at] = outside @ value + trace * scale
                slope[at + 1 : at + 1 + len(stack)] = weights * (stack @ (outside * falling))
            return float(likelihood + 0.5 * (away @ away)), slope * spreads + away

        fit = minimize(
            loss,
            np.zeros_like(medians),
            jac=True,
            method="L-BFGS-B",
            bounds=[(-5, 5)] * len(medians),
            options={"maxiter": ITERATIONS, "ftol": 1e-5},
        )
        theta: Array = medians + fit.x * spreads
        return theta


@cache
def _pairs(number: int) -> tuple[Rows, Rows]:
    """The rows and columns below the diagonal of a square matrix, column after column."""
    columns, rows = np.triu_indices(number, 1)
    return rows, columns


def _differences(x: Array, later: Rows, earlier: Rows, group: str) -> Array:
    """How far pairs of rows are apart in each feature, of shape `(features, pairs)`."""
    columns = np.ascontiguousarray(x.T)
    apart = columns[:, later] - columns[:, earlier]
    if group != CHOICES:
        return np.square(apart, out=apart)
    np.abs(apart, out=apart)
    return np.minimum(apart, 1.0, out=apart)


def _weighted(a: Array, b: Array, weights: Array, group: str) -> Array:
    """The weighted distances of the rows of `a` and `b`, of shape `(len(a), len(b))`."""
    if group != CHOICES:
        root = np.sqrt(weights)
        squared: Array = cdist(a * root, b * root, "sqeuclidean")
        return squared
    whole = (a == np.rint(a)).all(axis=0) & (b == np.rint(b)).all(axis=0)
    distance = _unequal(a[:, whole], b[:, whole], weights[whole])
    for x, y, weight in zip(a.T[~whole], b.T[~whole], weights[~whole], strict=True):
        apart = x[:, None] - y
        np.abs(apart, out=apart)
        np.minimum(apart, 1.0, out=apart)
        apart *= weight
        distance += apart
    return distance


def _unequal(a: Array, b: Array, weights: Array) -> Array:
    """The weight of the features in which rows of whole numbers differ, by a product of matrices.

    Each feature becomes a column for each of its values: 1 where a row has that value, else 0.
    """
    least = np.minimum(a.min(axis=0, initial=0), b.min(axis=0, initial=0))
    most = np.maximum(a.max(axis=0, initial=0), b.max(axis=0, initial=0))
    width = (most - least + 1).astype(int)
    start = np.cumsum(width) - width - least.astype(int)
    ours, theirs = np.zeros((len(a), width.sum())), np.zeros((len(b), width.sum()))
    ours[np.arange(len(a))[:, None], a.astype(int) + start] = weights
    theirs[np.arange(len(b))[:, None], b.astype(int) + start] = 1.0
    different: Array = weights.sum() - ours @ theirs.T
    return different


def _correlation(distance: Array, smooth: bool) -> tuple[Array, Array]:
    """The correlation and its derivative at a distance (if smooth, at a squared distance)."""
    if not smooth:
        value = np.exp(-distance)
        return value, -value
    root = np.sqrt(5 * distance + 1e-12)
    decay = np.exp(-root)
    return (1 + root + root**2 / 3) * decay, -5 / 6 * (1 + root) * decay
