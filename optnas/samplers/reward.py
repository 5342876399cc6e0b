"""Rewards of trials under a preference among the objectives (of `reinforce` and `qlearning`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.dominance import losses
from optnas.samplers.ranking import shortfall, violation

Array = NDArray[np.float64]

WINDOW = 50
"""The number of trials in the moving average of rewards."""
AUGMENTATION = 0.3
"""The weight of the sum, which is added to the maximum, in the augmented Chebyshev value."""


class Rewards:
    """The rewards of a study's trials, as of the trial that was added last.

    Each objective's value is replaced by the share of all trials so far that were better, so
    neither units nor a diverged training matter.

    Args:
        directions: The directions of the study's objectives.
        targets: The targets of MnasNet's reward, by the objective's position.
        exponent: The exponent w of MnasNet's reward.
        limits: The reference point as losses. The reward of a trial beyond it is lowered by 1.3,
            the range of rewards without targets.
        window: The number of trials before the last one whose rewards are kept; None for all.
    """

    def __init__(
        self,
        directions: Sequence[StudyDirection],
        targets: Mapping[int, float],
        exponent: float,
        limits: Array | None = None,
        window: int | None = WINDOW,
    ) -> None:
        self._directions, self._targets, self._exponent = directions, targets, exponent
        self._window = window
        self._limits = np.full(len(directions), np.inf) if limits is None else limits
        self._free = [i for i in range(len(directions)) if i not in targets]
        self._sorted: list[Array] = [np.zeros(0) for _ in directions]
        self._recent: list[tuple[Array | None, float]] = []
        self._worst_violation = 0.0

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
        self._recent.append((point, broken))
        if self._window is not None:
            del self._recent[: -self._window - 1]

    def advantage(self, preference: Array) -> float:
        """The last trial's reward minus the average of those before it, in standard deviations.

        Args:
            preference: The last trial's, of shape `(objectives,)`. All rewards are computed under
                it.

        Returns:
            A number from -5 to 5; 0 for the first few trials.
        """
        if len(self._recent) < 5:
            return 0.0
        rewards = self.rewards(preference, range(len(self._recent)))
        before = rewards[:-1]
        advantage = (rewards[-1] - before.mean()) / (before.std() + 1e-8)
        return float(np.clip(advantage, -5.0, 5.0))

    def rewards(self, preference: Array, which: Sequence[int]) -> Array:
        """The rewards of trials as of now: another trial changes the ranks of those before it.

        Without targets, a feasible trial's lies between -1.3 and 0, and that of one that is
        infeasible or failed is lower than any feasible one's.

        Args:
            preference: The weights of the objectives, of shape `(objectives,)`.
            which: The positions of the trials among those that are kept.

        Returns:
            An array of shape `(len(which),)`.
        """
        asked = [self._recent[i] for i in which]
        rewards = np.zeros(len(asked))
        known = [i for i, (point, _) in enumerate(asked) if point is not None]
        if known:
            points = np.array([asked[i][0] for i in known])
            beyond = shortfall(points, self._limits) > 0
            rewards[known] = self._feasible(points, preference) - (1 + AUGMENTATION) * beyond
        worst = (1 + AUGMENTATION) * (1 + bool(np.isfinite(self._limits).any()))
        for i, (point, broken) in enumerate(asked):
            if point is None:  # infeasible or failed: worse than any feasible one
                share = broken / self._worst_violation if np.isfinite(broken) else 1.0
                rewards[i] = -worst - min(share, 1.0)
        return rewards

    def _feasible(self, points: Array, preference: Array) -> Array:
        ranks = np.column_stack(
            [
                np.searchsorted(values, column) / len(values)
                for values, column in zip(self._sorted, points.T, strict=True)
            ]
        )
        weighted = (preference * ranks)[:, self._free]
        value: Array = -(weighted.max(axis=1) + AUGMENTATION * weighted.sum(axis=1))
        if not self._targets:
            return value
        quality = 1 + value / (1 + AUGMENTATION)
        with np.errstate(over="ignore"):  # infinitely far from the target
            for i, target in self._targets.items():
                quality = quality * (np.maximum(points[:, i], 1e-300) / target) ** self._exponent
        return quality
