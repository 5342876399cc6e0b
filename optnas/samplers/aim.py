"""Where the predictor looks when nobody says it (part of `predictor`, which has the outline).

Nothing is as cheap as a network that learns nothing, so the front of all networks is mostly one of
networks that few people want. In every other trial, therefore, a network gains only if its score is
better than the median of random ones. Tried and no better (benchmarks/samplers_tables.py): a limit
in each trial, one that four fifths of random networks keep to, and the sum of both gains.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.dominance import losses, unit
from optnas.samplers import ensemble
from optnas.samplers.encoding import encode
from optnas.samplers.gaussian_process import CHOICES, GaussianProcess
from optnas.samplers.mutation import Genes, genes_of


def median_loss(
    trials: Sequence[FrozenTrial],
    sample: Sequence[Genes],
    directions: Sequence[StudyDirection],
    score: int,
) -> float:
    """The median loss of random architectures, as a Gaussian process predicts it.

    The sampler's own trials can't tell: they lie where it looks.

    Args:
        trials: The trials to learn from.
        sample: Architectures drawn at random.
        directions: The directions of the objectives.
        score: The position of the objective.

    Returns:
        The loss; inf if fewer than two trials have a finite one, or if none is better: where most
        networks are equally good, no network could gain.
    """
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    known = [t for t in complete if np.isfinite(t.values[score])]
    if len(known) < 2 or not sample:
        return np.inf
    every = losses([trial.values for trial in complete], directions)[:, [score]]
    values = every[np.isfinite(every[:, 0])]
    logs, scale = bool((values > 0).all()), unit(values)
    choices, counts = encode([*map(genes_of, known), *sample])
    if not choices.shape[1]:  # there is nothing to choose
        return np.inf
    features = {CHOICES: choices, "counts": counts}
    process = GaussianProcess(
        ensemble.DECISIONS,
        {name: x[: len(known)] for name, x in features.items()},
        (np.log(values) if logs else values * scale)[:, 0],
        ensemble.FITTED,
    )
    mean, _ = process.predict({name: x[len(known) :] for name, x in features.items()})
    found = float(np.median(mean))
    median = float(np.exp(found)) if logs else found / float(scale[0])
    return median if (every < median).any() else np.inf
