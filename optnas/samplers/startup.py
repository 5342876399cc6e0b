"""The predictor's first trials (part of `predictor`, which has the outline)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from optuna.study import StudyDirection

from optnas.samplers.ask import Ask
from optnas.samplers.encoding import by_rank
from optnas.samplers.known import Known
from optnas.samplers.lessons import Lessons
from optnas.samplers.mutation import Genes, values_of, was_tried
from optnas.samplers.names import Suggest
from optnas.samplers.proposals import complete
from optnas.samplers.success import Outcomes

SAMPLE, TRIALS_OF_A_PART = 100, 4
"""The number of random architectures that the startup trials are chosen from (and that show what a
usual score is), and the number of them that are compared by their proxies for each."""


def random_architectures(ask: Ask, suggest: Suggest) -> list[Genes]:
    """Random architectures of the space, the same ones for all trials of a study."""
    rng = ask.shared_rng("sample")
    return [genes for _ in range(SAMPLE) if (genes := complete(suggest, {}, rng)[0])]


@dataclass(frozen=True)
class _Sample:
    """Random architectures: none was tried, and none is known to break a bound.

    Attributes:
        genes: Their decisions.
        costs: The costs of each; lower ones are better.
        rng: The generator that drew them, as it was after that.
    """

    genes: list[Genes]
    costs: list[list[float]]
    rng: Random


class Startup:
    """Chooses startup trials, and remembers the sample that all attempts of one have."""

    def __init__(self) -> None:
        self._sample: _Sample | None = None
        self._of: object = None

    def spread(
        self,
        ask: Ask,
        suggest: Suggest,
        known: Known,
        keeps_bounds: Callable[[Genes], bool],
        number: int,
        lessons: Lessons | None = None,
    ) -> dict[str, Any]:
        """A startup trial: random architectures are sorted by cost, and each trial has its part.

        Args:
            ask: The trial.
            suggest: Draws an architecture of the space.
            known: Gives costs and proxies.
            keeps_bounds: Whether an architecture breaks no bound that is known before training.
            number: The number of startup trials.
            lessons: What is learned from an older study, if there is one: then the best of the part
                by its ranks are compared, in place of random ones.
        """
        of = ask.place, dict(ask.fixed)
        if self._sample is None or not ask.attempt or self._of != of:
            self._sample, self._of = _drawn(ask, suggest, known, keeps_bounds), of
        return _chosen(ask, self._sample, known, number, lessons)


def _drawn(
    ask: Ask, suggest: Suggest, known: Known, keeps_bounds: Callable[[Genes], bool]
) -> _Sample:
    rng = ask.shared_rng("startup")
    maximize = [d == StudyDirection.MAXIMIZE for d in ask.history.study.directions]
    found = _Sample([], [], rng)
    for _ in range(SAMPLE):
        genes, _ = complete(suggest, dict(ask.fixed), rng)
        if not known.is_counted(genes):
            continue  # a network that can't run
        costs = known.costs(genes)
        if genes and not was_tried(ask.tried, genes) and keeps_bounds(genes):
            found.genes.append(genes)
            found.costs.append([-v if maximize[i] else v for i, v in costs.items()])
    return found


def _chosen(
    ask: Ask, given: _Sample, known: Known, number: int, lessons: Lessons | None
) -> dict[str, Any]:
    sample, costs, rng = given.genes, given.costs, copy(given.rng)
    if not sample:
        return {}
    success = ask.history.fold(Outcomes, Outcomes.add).model
    if success and (likely := np.flatnonzero(success.probability(sample) >= 0.5)).size:
        sample, costs = [sample[i] for i in likely], [costs[i] for i in likely]
    order = np.argsort(by_rank(np.array(costs, dtype=float)).sum(axis=1), kind="stable")
    parts = np.array_split(order, min(number, len(order)))
    rng.shuffle(parts)
    part = [sample[i] for i in parts[ask.place % len(parts)]]
    part = ask.rng("startup").sample(
        part, len(part) if lessons else min(TRIALS_OF_A_PART, len(part))
    )
    if lessons is not None:
        part = _best(part, lessons, known, len(ask.history.study.directions))
    part = [genes for genes in part if known.is_sound(genes)]
    if not part:
        return {}
    table = np.array([known(genes)[1] for genes in part], dtype=float)
    return values_of(part[int(np.argmax(by_rank(table).sum(axis=1)))])


def _best(part: Sequence[Genes], lessons: Lessons, known: Known, objectives: int) -> list[Genes]:
    """The best of a part by the older study's ranks of the first objective that it can tell of."""
    costs = known.told(part[0])
    told = lessons.predict(part, [i for i in range(objectives) if i not in costs])
    ranks = next(iter(told.values()), np.zeros(len(part)))
    return [part[i] for i in np.argsort(ranks, kind="stable")[:TRIALS_OF_A_PART]]
