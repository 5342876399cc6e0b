"""Rewards of trials under a preference among the objectives (of `reinforce` and `qlearning`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.dominance import dominates, losses
from optnas.samplers.ranking import shortfall, violation

Array = NDArray[np.float64]
Integers = NDArray[np.int_]

AUGMENTATION = 0.3
"""The weight of the sum, which is added to the maximum, in the augmented Chebyshev value; that of
`qlearning`."""


class Rewards:
    """The rewards of a study's trials, as of the trial that was added last.

    Each objective's value is replaced by the share of all trials so far that were better, so
    neither units nor a diverged training matter.

    Attributes:
        best: The positions of the trials that may be the best under some preference: the front of
            the feasible ones. As long as there is none, it is the trial that breaks the constraints
            least.

    Args:
        directions: The directions of the study's objectives.
        targets: The targets of MnasNet's reward, by the objective's position.
        exponent: The exponent w of MnasNet's reward.
        limits: The reference point as losses. The reward of a trial beyond it is lowered by 1 +
            `augmentation`, the range of rewards without targets.
        augmentation: The weight of the sum in the augmented Chebyshev value.
    """

    def __init__(
        self,
        directions: Sequence[StudyDirection],
        targets: Mapping[int, float],
        exponent: float,
        limits: Array | None = None,
        augmentation: float = AUGMENTATION,
    ) -> None:
        self._directions, self._targets, self._exponent = directions, targets, exponent
        self._augmentation = augmentation
        self._limits = np.full(len(directions), np.inf) if limits is None else limits
        self._free = [i for i in range(len(directions)) if i not in targets]
        self._sorted: list[Array] = [np.zeros(0) for _ in directions]
        self._known: list[tuple[Array | None, float]] = []
        self._worst_violation = 0.0
        self.best: list[int] = []

    def add(self, trial: FrozenTrial) -> None:
        """Adds the next finished trial."""
        point: Array | None = None
        broken = violation(trial)
        if trial.state == TrialState.COMPLETE:
            point = losses([trial.values], self._directions)[0]
            for i, value in enumerate(point):
                at = np.searchsorted(self._sorted[i], value)
                self._sorted[i] = np.insert(self._sorted[i], at, value)
        self._worst_violation = max(self._worst_violation, broken)
        if broken > 0:
            point = None
        elif point is None:
            broken = np.inf
        self._known.append((point, broken))
        self._find_best(len(self._known) - 1)

    def _find_best(self, new: int) -> None:
        """Takes the newest trial into `best`, and drops from there what it dominates."""
        point, broken = self._known[new]
        points = [known for i in self.best if (known := self._known[i][0]) is not None]
        if point is None:
            if np.isfinite(broken) and all(broken < self._known[i][1] for i in self.best):
                self.best = [new]
        elif not points:
            self.best = [new]
        else:
            front = np.array(points)
            if not (dominates(front, point) | (front == point).all(axis=1)).any():
                beaten = dominates(point, front)
                self.best = [i for i, b in zip(self.best, beaten, strict=True) if not b] + [new]

    def best_of(self, preferences: Array) -> Integers:
        """The position of the trial with the highest reward under each preference.

        Args:
            preferences: Of shape `(preferences, objectives)`.

        Returns:
            Of shape `(preferences,)`; of shape `(0,)` if all trials failed.
        """
        if not self.best:
            return np.zeros(0, dtype=int)
        found: Integers = np.array(self.best)[self.rewards(preferences, self.best).argmax(axis=1)]
        return found

    def rewards(self, preferences: Array, which: Sequence[int]) -> Array:
        """The rewards of trials as of now: another trial changes the ranks of those before it.

        Without targets, a feasible trial's lies between -1 - `augmentation` and 0. That of one that
        is infeasible or failed is lower than any feasible one's.

        Args:
            preferences: The weights of the objectives, of shape `(preferences, objectives)`.
            which: The positions of the trials.

        Returns:
            An array of shape `(preferences, len(which))`.
        """
        extent = 1 + self._augmentation
        asked = [self._known[i] for i in which]
        rewards = np.zeros((len(preferences), len(asked)))
        known = [i for i, (point, _) in enumerate(asked) if point is not None]
        if known:
            points = np.array([asked[i][0] for i in known])
            beyond = shortfall(points, self._limits) > 0
            rewards[:, known] = self._feasible(points, preferences) - extent * beyond
        worst = extent * (1 + bool(np.isfinite(self._limits).any()))
        for i, (point, broken) in enumerate(asked):
            if point is None:  # infeasible or failed: worse than any feasible one
                share = broken / self._worst_violation if np.isfinite(broken) else 1.0
                rewards[:, i] = -worst - min(share, 1.0)
        return rewards

    def _feasible(self, points: Array, preferences: Array) -> Array:
        ranks = np.column_stack(
            [
                np.searchsorted(values, column) / len(values)
                for values, column in zip(self._sorted, points.T, strict=True)
            ]
        )
        weighted = preferences[:, None, self._free] * ranks[:, self._free]
        value: Array = -(weighted.max(axis=2) + self._augmentation * weighted.sum(axis=2))
        if not self._targets:
            return value
        quality = 1 + value / (1 + self._augmentation)
        with np.errstate(over="ignore"):  # infinitely far from the target
            for i, target in self._targets.items():
                quality = quality * (np.maximum(points[:, i], 1e-300) / target) ** self._exponent
        return quality
