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

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from optnas.pareto.dominance import Array
from optnas.samplers.encoding import ABSENT

Features = Mapping[str, Array]
"""Groups of features, by name; each has shape `(architectures, features)`."""

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


class GaussianProcess:
    """The posterior over a function of architectures.

    Args:
        terms: The summands of the kernel.
        features: The features of the architectures seen.
        targets: Their values, of shape `(architectures,)`, without NaN.
        fitted: The number of architectures, evenly spaced, that the hyperparameters are fitted to.
    """

    def __init__(
        self, terms: Sequence[Term], features: Features, targets: Array, fitted: int
    ) -> None:
        self._terms = [
            Term(groups, term.smooth)
            for term in terms
            if (groups := tuple(g for g in term.groups if features[g].shape[1]))
        ]
        self._features = {g: features[g] for term in self._terms for g in term.groups}
        self._mean, self._scale = float(targets.mean()), float(targets.std()) or 1.0
        self._targets = (targets - self._mean) / self._scale
        rows = np.unique(np.linspace(0, len(targets) - 1, fitted).astype(int))
        self._theta = self._fit({g: x[rows] for g, x in self._features.items()}, rows)
        kernel = self._kernel(self._distances(self._features, self._features), self._theta)
        kernel[np.diag_indices_from(kernel)] += np.exp(self._theta[0]) + JITTER
        self._factor = cho_factor(kernel, lower=True)
        self._alpha = cho_solve(self._factor, self._targets)

    def predict(self, features: Features) -> tuple[Array, Array]:
        """Predicts the function without noise.

        Returns:
            Mean and standard deviation, each of shape `(architectures,)`.
        """
        cross = self._kernel(self._distances(features, self._features), self._theta)
        reduced = solve_triangular(self._factor[0], cross.T, lower=True)
        prior = sum(np.exp(self._theta[i]) for i in self._offsets())
        variance = np.maximum(prior - (reduced**2).sum(axis=0), 1e-8)
        mean = cross @ self._alpha
        return mean * self._scale + self._mean, np.sqrt(variance) * self._scale

    def leave_one_out(self, greed: float) -> float:
        """Scores how well each target is predicted from the others: the sum of log densities.

        Args:
            greed: A target that is 1/greed standard deviations larger has 1/e of the weight.
        """
        inverse = cho_solve(self._factor, np.eye(len(self._targets)))
        variance = 1 / np.diag(inverse)
        residuals = self._alpha * variance
        density = -0.5 * (np.log(variance) + residuals**2 / variance)
        weights = np.exp(-greed * self._targets)
        return float((density * weights).sum() / weights.sum() * len(density))

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

    def _distances(self, rows: Features, columns: Features) -> list[Array]:
        """The distances for each term, of shape `(features, rows, columns)`."""
        found: dict[str, Array] = {}
        for group in self._features:
            a, b = rows[group].T[:, :, None], columns[group].T[:, None, :]
            found[group] = np.minimum(np.abs(a - b), 1.0) if group == CHOICES else (a - b) ** 2
        return [np.concatenate([found[g] for g in term.groups]) for term in self._terms]

    def _kernel(self, distances: list[Array], theta: Array) -> Array:
        kernel = np.zeros(distances[0].shape[1:])
        for term, stack, at in zip(self._terms, distances, self._offsets(), strict=True):
            weighted = np.tensordot(np.exp(theta[at + 1 : at + 1 + len(stack)]), stack, 1)
            kernel += np.exp(theta[at]) * _correlation(weighted, term.smooth)[0]
        return kernel

    def _fit(self, features: Features, rows: Array) -> Array:
        """Finds the posterior mode by L-BFGS, from the medians and in units of the spreads."""
        medians, spreads = self._priors()
        distances = self._distances(features, features)
        targets, eye = self._targets[rows], np.eye(len(rows))

        def loss(away: Array) -> tuple[float, Array]:
            theta = medians + away * spreads
            slope = np.zeros_like(theta)
            kernel, parts = (np.exp(theta[0]) + JITTER) * eye, []
            for term, stack, at in zip(self._terms, distances, self._offsets(), strict=True):
                weights = np.exp(theta[at + 1 : at + 1 + len(stack)])
                value, falling = _correlation(np.tensordot(weights, stack, 1), term.smooth)
                scale = np.exp(theta[at])
                kernel = kernel + scale * value
                parts.append((at, scale * value, scale * falling, weights, stack))
            try:
                factor = cho_factor(kernel, lower=True)
            except np.linalg.LinAlgError:
                return 1e10, away
            alpha = cho_solve(factor, targets)
            half = 0.5 * (cho_solve(factor, eye) - np.outer(alpha, alpha))
            slope[0] = np.trace(half) * np.exp(theta[0])
            for at, value, falling, weights, stack in parts:
                slope[at] = (half * value).sum()
                by_feature = np.tensordot(stack, half * falling, axes=([1, 2], [0, 1]))
                slope[at + 1 : at + 1 + len(stack)] = weights * by_feature
            likelihood = 0.5 * targets @ alpha + np.log(np.diag(factor[0])).sum()
            return float(likelihood + 0.5 * (away**2).sum()), slope * spreads + away

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


def _correlation(distance: Array, smooth: bool) -> tuple[Array, Array]:
    """The correlation and its derivative at a distance (if smooth, at a squared distance)."""
    if not smooth:
        value = np.exp(-distance)
        return value, -value
    root = np.sqrt(5 * distance + 1e-12)
    decay = np.exp(-root)
    return (1 + root + root**2 / 3) * decay, -5 / 6 * (1 + root) * decay
