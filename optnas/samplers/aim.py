"""Where to look when nobody says it (part of `predictor`, which has the outline).

The front of all networks is mostly one of tiny networks that learn little, because nothing is as
cheap. Few people want them. So in every other trial a network gains only if its scores are better
than what a random network's would be.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.dominance import Array, losses
from optnas.samplers.encoding import choices, counts
from optnas.samplers.ensemble import DECISIONS, FITTED
from optnas.samplers.gaussian_process import CHOICES, GaussianProcess
from optnas.samplers.mutation import Genes, genes_of

QUANTILE = 0.5


def typical_losses(
    trials: Sequence[FrozenTrial],
    sample: Sequence[Genes],
    directions: Sequence[StudyDirection],
    scores: Sequence[int],
    quantile: float,
) -> Array:
    """The median losses of random architectures, as a Gaussian process predicts them.

    The sampler's own trials have no such median: they lie where it looks.

    Args:
        trials: The trials to learn from.
        sample: Architectures drawn at random.
        directions: The directions of the objectives.
        scores: The positions of the objectives to find it for.

    Returns:
        An array of shape `(objectives,)`; inf for the other objectives.
    """
    found = np.full(len(directions), np.inf)
    known = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    values = losses([trial.values for trial in known], directions)
    every = [*map(genes_of, known), *sample]
    features = {CHOICES: choices(every), "counts": counts(every)}
    seen = {name: x[: len(known)] for name, x in features.items()}
    asked = {name: x[len(known) :] for name, x in features.items()}
    for j in scores:
        column = values[:, j]
        if len(known) < 2 or not np.isfinite(column).all():
            continue
        logs = (column > 0).all()
        targets = np.log(column) if logs else column
        mean, _ = GaussianProcess(DECISIONS, seen, targets, FITTED).predict(asked)
        middle = np.quantile(mean, quantile)
        found[j] = np.exp(middle) if logs else middle
    return found
