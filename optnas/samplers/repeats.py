"""What is known of trials whose networks were evaluated more than once.

A trial that was confirmed (`optnas.finished.confirm`), and trials with the same parameters, are
several evaluations of one network. Samplers learn from their mean: the best of several noisy values
is too good on average.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.confirmed import CONFIRMED, confirmed
from optnas.pareto.dominance import Array
from optnas.pareto.noise import error, interval
from optnas.samplers.ranking import violation
from optnas.samplers.trie import Keys, keys_of
from optnas.study.attributes import DETAIL
from optnas.study.objectives import objective_names

NORMAL = 1.96
"""Half the width of a 95 % interval, in standard deviations."""


@dataclass(frozen=True)
class Mean:
    """The mean of a network's evaluations.

    Attributes:
        values: The mean of each objective.
        n: The number of evaluations.
    """

    values: tuple[float, ...]
    n: int

    @classmethod
    def of(cls, rows: Sequence[Sequence[float]], weights: Sequence[int]) -> Mean:
        """The mean of means.

        Args:
            rows: The values of each.
            weights: The number of evaluations behind each.
        """
        table = np.array(rows, dtype=float)
        with np.errstate(over="ignore", invalid="ignore"):
            means = np.average(table, axis=0, weights=weights)
        found = np.where((table == table[0]).all(axis=0), table[0], means)  # a count stays exact
        return cls(tuple(found.tolist()), sum(weights))


class Repeats:
    """The means of a study's confirmed trials, as its samplers see them."""

    def __init__(self) -> None:
        self._read: dict[str, Any] = {}
        self._measured: dict[int, dict[str, float]] = {}
        self.means: dict[int, Mean] = {}

    def update(self, study: Study) -> bool:
        """Reads what was confirmed since the last time; whether anything was.

        Fresh evaluations count that differ from the search's own in the seed alone.
        """
        kept = study.user_attrs.items()
        written = {key: notes for key, notes in kept if key.startswith(f"{CONFIRMED}:")}
        if written == self._read:
            return False
        self._read, self._measured, self.means = written, {}, {}
        names = objective_names(study)
        for number, found in confirmed(study).items():
            rows = [found.search, *found.like_search]
            if len(rows) > 1:
                mean = self.means[number] = Mean.of(rows, [1] * len(rows))
                by_name = zip(names, mean.values, strict=True)
                self._measured[number] = dict(compress(by_name, found.again))
        return True

    def at_mean(self, trial: FrozenTrial) -> FrozenTrial:
        """A trial with the mean of its evaluations; the trial itself if there is only one.

        The mean of n measurements has the 95 % interval of one, around the mean, over √n.
        """
        mean = self.means.get(trial.number)
        if mean is None:
            return trial
        changed = _with_values(trial, mean.values)
        for name, value in self._measured[trial.number].items():
            if ends := interval(trial, name):
                key, half = f"{DETAIL}{name}", (ends[1] - ends[0]) / 2 / math.sqrt(mean.n)
                detail = trial.user_attrs[key] | {"interval": [value - half, value + half]}
                changed.user_attrs = changed.user_attrs | {key: detail}
        return changed


class Networks:
    """Which trials have equal parameters, so evaluated the same network; a fold over a history.

    Only feasible COMPLETE trials count.
    """

    def __init__(self, history: object = None) -> None:
        self._seen: dict[Keys, list[FrozenTrial]] = {}
        self.repeated: list[list[FrozenTrial]] = []

    def add(self, trial: FrozenTrial) -> None:
        """Adds the next finished trial."""
        if trial.state != TrialState.COMPLETE or violation(trial):
            return
        group = self._seen.setdefault(keys_of(trial), [])
        group.append(trial)
        if len(group) == 2:
            self.repeated.append(group)

    def pooled(
        self, trials: Sequence[FrozenTrial], means: Mapping[int, Mean]
    ) -> tuple[list[FrozenTrial], dict[int, int]]:
        """One trial for each network: the first one, with the mean of all evaluations.

        Args:
            trials: The trials, with their own means as values.
            means: These means, by the trial's number.

        Returns:
            The trials, and the number of evaluations of those that have more than one, by number.
        """
        counts = {number: mean.n for number, mean in means.items()}
        first: dict[int, FrozenTrial | None] = {}
        for group in self.repeated:
            numbers = [trial.number for trial in group]
            mean = Mean.of([t.values for t in group], [counts.pop(n, 1) for n in numbers])
            counts[numbers[0]] = mean.n
            first |= dict.fromkeys(numbers) | {numbers[0]: _with_values(group[0], mean.values)}
        found = (first.get(trial.number, trial) for trial in trials)
        return [trial for trial in found if trial is not None], counts


def relative_errors(trials: Sequence[FrozenTrial], names: Sequence[str]) -> Array:
    """The standard deviation of measured values, as a share of them (see `optnas.pareto.noise`).

    Returns:
        An array of shape `(trials, objectives)`: 0 where no interval was measured.
    """
    rows = [[error(t, n, v) / NORMAL for n, v in zip(names, t.values, strict=True)] for t in trials]
    return np.array(rows).reshape(len(trials), len(names))


def _with_values(trial: FrozenTrial, values: Sequence[float]) -> FrozenTrial:
    changed = copy(trial)
    changed.values = list(values)
    return changed
