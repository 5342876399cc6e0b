"""The ensemble of Gaussian processes (part of `predictor`, which has the outline).

A member is what it sees of an architecture. The members predict together, each with a weight that
says how well it predicts the trials that are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

from optnas.pareto.dominance import Array
from optnas.samplers.gaussian_process import CHOICES, Features, GaussianProcess, Noise, Term

GREED = 0.5
"""How much more the prediction of a good trial counts than that of a bad one."""
FITTED = 80
"""The number of trials that hyperparameters are fitted to."""

Member = tuple[Term, ...]

DECISIONS: Member = (Term((CHOICES,), smooth=False), Term(("counts",)))
PLAIN: Member = (*DECISIONS, Term(("costs",)))
WITHOUT_PROXIES: tuple[Member, ...] = (PLAIN, (Term((CHOICES, "costs")), Term(("counts",))))
WITH_PROXIES: tuple[Member, ...] = (
    PLAIN,
    (*PLAIN, Term(("first proxy",))),
    (*PLAIN, Term(("proxies",))),
    (Term((CHOICES, "proxies")), Term(("counts",))),
)
LEARNED = Term(("source",))
"""What an older study predicts; members that have it are added where there is such a study."""


def with_source(members: Sequence[Member]) -> list[Member]:
    """An ensemble with further members, which have what an older study predicts as a feature."""
    plain = [terms for terms in members if terms in (PLAIN, (*PLAIN, Term(("proxies",))))]
    return [*members, *((*terms, LEARNED) for terms in plain)]


class Ensemble:
    """What all members predict of some architectures.

    Args:
        members: The members.
        seen: The features of the architectures to learn from.
        targets: Their values, of shape `(seen,)`.
        noise: What is known of the noise in these values.
        asked: The features of the architectures to predict.

    Attributes:
        mean: The weighted mean prediction, of shape `(asked,)`.
    """

    def __init__(
        self,
        members: Sequence[Member],
        seen: Features,
        targets: Array,
        noise: Noise,
        asked: Features,
    ) -> None:
        fitted = [GaussianProcess(terms, seen, targets, FITTED, noise) for terms in members]
        trust = np.array([process.leave_one_out(GREED) for process in fitted])
        weights = np.exp(trust - trust.max())
        self._weights = weights.tolist()
        self._predictions = [process.predict(asked) for process in fitted]
        means = np.array([mean for mean, _ in self._predictions])
        self.mean: Array = weights @ means / weights.sum()

    def draw(self, rng: Random) -> Array:
        """A draw from the posterior: one member, as far from its mean for all architectures."""
        mean, deviation = rng.choices(self._predictions, self._weights)[0]
        return mean + rng.gauss(0, 1) * deviation
