"""What an older study tells of a new one's architectures (part of `predictor`).

Each objective of the older study, the source, has a Gaussian process of its own. In the new study
the rank that it predicts is one more feature: so nothing is compared but orders, and how the orders
go together (or that they don't) is learned from the new trials. Costs and proxies of the source's
architectures are computed in the new space: they tell what two networks have in common.

Source: Feurer, Letham and Bakshy, Scalable meta-learning for Bayesian optimization using
ranking-weighted Gaussian process ensembles (arXiv 1802.02219), where a model of each earlier study
has a weight in an ensemble, by how well it ranks the new trials. What differs: the model of the
source is a feature of the ensemble's members, so that it may also be corrected, or turned round.
Tried and no better: the trials of both studies in one process, which a misleading source harms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial

from optnas.errors import InputError
from optnas.pareto.dominance import Array
from optnas.samplers.encoding import encode
from optnas.samplers.known import Known
from optnas.samplers.mutation import Genes, genes_of
from optnas.samplers.names import Suggest
from optnas.samplers.proposals import complete
from optnas.samplers.scaling import clipped, positions
from optnas.utils.distributions import contains, option
from optnas.utils.text import listed

if TYPE_CHECKING:  # it imports scipy, which takes half a second
    from optnas.samplers.gaussian_process import GaussianProcess


FEWEST = 10
"""The fewest architectures of the source whose costs and proxies are worth learning from."""
BEST = 50
"""The number of the source's best architectures that may be candidates in the new study."""


@dataclass(frozen=True)
class Taught:
    """What a new study is taught by an older one.

    Attributes:
        name: The name of the older study.
        trials: The trials of it that are learned from.
        losses: Their losses, by the position of the objective in the new study.
        order: Their positions, the best one first.
    """

    name: str
    trials: Sequence[FrozenTrial]
    losses: Mapping[int, Array]
    order: Sequence[int]


class Lessons:
    """Predicts how the source would rank architectures of the new study.

    Attributes:
        taught: What the new study is taught.
        best: The source's best architectures in the new space, the best first.

    Args:
        taught: What the new study is taught.
        suggest: Draws an architecture of the new space, if it is known.
        known: Gives costs and proxies in the new study.
        rng: Draws the decisions that the source's architectures lack in the new space.
        most: The most architectures of the source whose costs and proxies are computed.
    """

    def __init__(
        self, taught: Taught, suggest: Suggest | None, known: Known, rng: Random, most: int
    ) -> None:
        self.taught = taught
        self._known, self._most = known, most
        self._completed = [genes_of(trial) for trial in taught.trials]
        if suggest is not None:
            self._completed = [complete(suggest, t.params, rng)[0] for t in taught.trials]
        best = [self._completed[i] for i in taught.order if self._completed[i]]
        self.best = best[:BEST]
        self._checked = False
        self._distributions: dict[str, BaseDistribution] = {}
        for trial in taught.trials:
            for parameter, distribution in trial.distributions.items():
                if not distribution.single():
                    self._distributions.setdefault(parameter, distribution)
        self._decisions = self._encode([genes_of(trial) for trial in taught.trials])
        self._sound: dict[frozenset[int], list[int]] = {}
        self._models: dict[tuple[int, frozenset[int] | None], _Model | None] = {}

    def check(self, architectures: Sequence[Genes], objectives: int) -> None:
        """Raises InputError if nothing can be learned for these architectures.

        Args:
            architectures: Those of the new study.
            objectives: The number of its objectives.
        """
        sound = None if self._checked else next(filter(self._known.is_sound, architectures), None)
        if sound is None:
            return
        costs = self._known.told(sound)
        predicted = [position for position in range(objectives) if position not in costs]
        nothing = f"there is nothing to learn from study {self.taught.name!r}: "
        if not any(position in self.taught.losses for position in predicted):
            raise InputError(
                f"{nothing}all objectives that it has in common with the new one are known before "
                "training. Give another study, or none"
            )
        if not any(map(self._translated, architectures)):
            raise InputError(
                f"{nothing}its trials and the new ones have no choice in common "
                f"({listed(list(self._distributions))} there, {listed(list(sound))} "
                "here). Give a study of a similar space, or none"
            )
        self._checked = True

    def predict(
        self, architectures: Sequence[Genes], objectives: Sequence[int], *, known: bool = False
    ) -> dict[int, Array]:
        """The losses that the source would have, each of shape `(architectures,)`, by objective.

        Only their order tells anything. An objective that the source can't tell of has none.

        Args:
            architectures: The architectures.
            objectives: The positions of the objectives.
            known: Whether to go by costs and proxies, too, which all of the architectures must
                have; else it is by the decisions alone.
        """
        decisions, found = self._encode(architectures), {}
        for position in objectives:
            model = self._model(position, known=known) or self._model(position, known=False)
            if model is not None:
                exact = {} if model.table is None else model.ranked(self._table(architectures))
                found[position] = model.process.predict(decisions | exact)[0]
        return found

    def _model(self, position: int, *, known: bool) -> _Model | None:
        """The model of an objective; None if there is nothing to learn, or nothing is known."""
        key = position, self._known.wrong if known else None
        if key not in self._models:
            self._models[key] = self._fitted(position, known)
        return self._models[key]

    def _sound_rows(self) -> list[int]:
        """The trials of the source whose architectures have costs and proxies in the new space."""
        wrong = self._known.wrong
        if wrong not in self._sound:
            pairs = zip(self._completed, self.taught.trials, strict=True)
            rows = [i for i, (genes, trial) in enumerate(pairs) if _is_kept(trial, genes)]
            taken = np.unique(np.linspace(0, len(rows) - 1, self._most).astype(int)) if rows else ()
            checked = [rows[i] for i in taken]
            self._sound[wrong] = [i for i in checked if self._known.is_sound(self._completed[i])]
        return self._sound[wrong]

    def _fitted(self, position: int, known: bool) -> _Model | None:
        # Not above: they import scipy, which takes half a second.
        from optnas.samplers import ensemble
        from optnas.samplers.gaussian_process import GaussianProcess, Term

        losses = self.taught.losses.get(position, np.full(len(self.taught.trials), np.nan))
        rows = np.flatnonzero(np.isfinite(losses))
        if known:
            rows = np.intersect1d(rows, np.array(self._sound_rows(), dtype=int))
            if len(rows) < FEWEST:
                return None
        if not len(rows) or np.ptp(targets := clipped(losses[rows])) == 0:
            return None
        seen = {name: x[rows] for name, x in self._decisions.items()}
        if not known:
            return _Model(GaussianProcess(ensemble.DECISIONS, seen, targets, ensemble.FITTED))
        costs, proxies = self._table([self._completed[i] for i in rows.tolist()])
        if not costs.shape[1] + proxies.shape[1]:
            return None
        seen |= {"costs": positions(costs, costs), "proxies": positions(proxies, proxies)}
        terms = (*ensemble.PLAIN, Term(("proxies",)))
        return _Model(GaussianProcess(terms, seen, targets, ensemble.FITTED), (costs, proxies))

    def _table(self, architectures: Sequence[Genes]) -> tuple[Array, Array]:
        """The costs and the proxies, each of shape `(architectures, numbers)`."""
        costs, proxies = zip(*map(self._known, architectures), strict=True)
        return (
            np.array([[found[i] for i in sorted(found)] for found in costs], dtype=float),
            np.array(proxies, dtype=float),
        )

    def _encode(self, architectures: Sequence[Genes]) -> dict[str, Array]:
        # The first row gives all tables the same columns.
        every = {name: (d, _any_value(d)) for name, d in self._distributions.items()}
        choices, counts = encode([every, *map(self._translated, architectures)])
        return {"choices": choices[1:], "counts": counts[1:]}

    def _translated(self, genes: Genes) -> Genes:
        """Decisions in the source's terms: those that it knows, in its own distributions.

        A number beyond the range counts as the range's end.
        """
        return {
            name: (distribution, genes[name][1])
            for name, distribution in self._distributions.items()
            if name in genes and _is_told(distribution, genes[name][1])
        }


@dataclass(frozen=True)
class _Model:
    """A Gaussian process of the source's trials, and their costs and proxies if it has them."""

    process: GaussianProcess
    table: tuple[Array, Array] | None = None

    def ranked(self, table: tuple[Array, Array]) -> dict[str, Array]:
        """Costs and proxies of other architectures, as ranks among the source's."""
        assert self.table is not None
        costs, proxies = map(positions, self.table, table)
        return {"costs": costs, "proxies": proxies}


def _is_kept(trial: FrozenTrial, genes: Genes) -> bool:
    """Whether a trial's architecture in the new space, if it has one, has the trial's decisions."""
    given = trial.params
    return bool(genes) and all(value == given.get(n, value) for n, (_, value) in genes.items())


def _is_told(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a value means something in a distribution, maybe beyond its range."""
    if isinstance(distribution, CategoricalDistribution):
        return contains(distribution, value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return False
    return value > 0 or not getattr(distribution, "log", False)


def _any_value(distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return option(distribution, 0)
    return distribution.low  # type: ignore[attr-defined]
