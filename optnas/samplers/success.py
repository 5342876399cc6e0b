"""Learns where in the space trials fail, so that samplers stay away from there.

Networks above some size run out of memory, or diverge. Nothing is known of their quality, so a
sampler that goes by the quality alone would take them for promising, again and again.

A Gaussian process is fitted to what became of the trials, as for a constraint that is broken or
isn't (see `acquisition`): -1 where a trial succeeded, 1 where it failed. It has the features of
`encoding` that follow from the decisions alone, and the trial's age: what failed all networks at
one time (a mistake, mended since) is told from what fails some networks at any time. Noise is part
of the model, so a failure among successes counts for little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.dominance import Array
from optnas.samplers.encoding import encode
from optnas.samplers.history import History
from optnas.samplers.learned_space import learned_space
from optnas.samplers.mutation import Genes, genes_of
from optnas.samplers.ranking import may_be_parent
from optnas.study.attributes import CURVE, is_stopped

NEWEST = 200
"""The number of newest trials that are learned from."""
PERIOD = 5
"""The number of trials in which what makes all of them fail changes little."""
FITTED = 80
"""The number of trials that hyperparameters are fitted to."""


def has_failed(trial: FrozenTrial) -> bool:
    """Whether nothing is known of a finished trial's network but that it came to nothing.

    A trial that was pruned has not failed if it broke a constraint, or if its training got
    somewhere before it was stopped.
    """
    if trial.state == TrialState.PRUNED:
        reported = trial.intermediate_values
        trained = bool(reported) and math.isfinite(reported[max(reported)])
        trained = trained or CURVE in trial.user_attrs
        return not (may_be_parent(trial) or is_stopped(trial) or trained)
    return trial.state == TrialState.FAIL


class Outcomes:
    """What a history's trials came to; a fold over them.

    Those that were cut short while their parameters were drawn say nothing of a network.
    """

    def __init__(self, history: History) -> None:
        self._is_cut_short = history.is_cut_short
        self._trials: list[FrozenTrial] = []
        self._model: SuccessModel | None = None

    def add(self, trial: FrozenTrial) -> None:
        """Adds the next finished trial."""
        self._trials = [*self._trials[1 - NEWEST :], trial]
        self._model = None

    @property
    def model(self) -> SuccessModel | None:
        """What is learned from them; None unless some failed and some succeeded."""
        if self._model is None:
            whole = [trial for trial in self._trials if not self._is_cut_short(trial)]
            self._model = success_model(whole, [has_failed(trial) for trial in whole])
        return self._model


def success_model(trials: Sequence[FrozenTrial], failed: Sequence[bool]) -> SuccessModel | None:
    """What is learned from the newest trials; None unless some failed and some succeeded."""
    seen, failed = [genes_of(trial) for trial in trials][-NEWEST:], failed[-NEWEST:]
    if any(failed) and not all(failed) and any(map(_free, seen)):
        return SuccessModel(seen, failed)
    return None


class SuccessModel:
    """Predicts whether the trial of an architecture succeeds.

    Attributes:
        suggest: Draws from a trial the parameters that the trials have.

    Args:
        seen: The decisions of the trials.
        failed: Whether each of them failed.
    """

    def __init__(self, seen: Sequence[Genes], failed: Sequence[bool]) -> None:
        # Not above: it imports scipy, which takes half a second.
        from optnas.samplers.gaussian_process import CHOICES, GaussianProcess, Term

        self._known: set[str] = set()
        self._cover: list[Genes] = []
        for genes in seen:
            if not (free := _free(genes)) <= self._known:
                self._cover.append(genes)
                self._known |= free
        labels = np.where(failed, 1.0, -1.0)
        terms = (Term((CHOICES,), smooth=False), Term(("counts",)), Term(("age",)))
        ages = np.arange(len(seen), 0, -1) / PERIOD
        self._process = GaussianProcess(terms, _features(seen, ages), labels, FITTED)
        self.suggest = learned_space(seen)

    def probability(self, architectures: Sequence[Genes]) -> Array:
        """The probability that each one succeeds, of shape `(architectures,)`."""
        from scipy.special import ndtr

        # Parameters that no trial had tell nothing; the few trials that have all others between
        # them give the codes their columns.
        known = [{n: g for n, g in genes.items() if n in self._known} for genes in architectures]
        every = [*self._cover, *known]
        features = _features(every, np.zeros(len(every)))
        asked = {name: x[len(self._cover) :] for name, x in features.items()}
        mean, deviation = self._process.predict(asked)
        return np.asarray(ndtr(-mean / deviation), dtype=float)

    def unlikely(self, genes: Genes) -> float:
        """How far the probability that an architecture succeeds lies below a half; 0 above it."""
        return max(0.5 - float(self.probability([genes])[0]), 0.0)


def _free(genes: Genes) -> set[str]:
    """The parameters that have a choice."""
    return {name for name, (distribution, _) in genes.items() if not distribution.single()}


def _features(architectures: Sequence[Genes], ages: Array) -> dict[str, Array]:
    choices, counts = encode(architectures)
    return {"choices": choices, "counts": counts, "age": ages[:, None]}
