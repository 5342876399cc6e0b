"""Q-learning: a table says what each decision is worth, and the best is taken more and more often.

Outline, for one trial:
1. `start` learns from the trials finished since (`_Table.add`): each of them, and a number of
   earlier ones drawn at random (experience replay), updates the table from its last decision to
   its first.
2. It takes the trial's preference among the objectives, and ε by the number of finished trials.
3. It returns an `_Episode`: each decision is the one with the highest value, or with probability ε
   any one.

Source: Baker, Gupta, Naik and Raskar, Designing neural network architectures using reinforcement
learning (MetaQNN), ICLR 2017 (arXiv 1611.02167).

What differs: a trial is an episode and each `suggest_*` an action, so any define-by-run space will
do. The paper's state is the layer before, with its position; here it is the parameter that is
drawn, whose name says where in the network it is, and the last few decisions. The reward is no
accuracy, but the rank among all trials so far under a preference among the objectives; there are as
many tables as preferences, and each trial updates all of them. A trial takes part in replays with
the reward that it has by then. Nothing is proposed twice.

Defaults: γ = 1, the initial value 0.5 and the order of updates are the paper's. Its agent learned
from 2700 networks, with 100 replays for each and a learning rate of 0.01; ε was 1.0 for 1500 of
them, and fell to 0.1 over the others. Here ε has the same steps, of equal length; their number of
trials, the share of random trials, the learning rate, the number of replays and that of remembered
decisions were chosen on NAS-Bench-201 with CIFAR-10 (benchmarks/samplers_nb201.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from optnas.samplers.ask import Ask, Draw
from optnas.samplers.base import HistorySampler
from optnas.samplers.episode import action, count_of, draw_action, open_actions
from optnas.samplers.history import History
from optnas.samplers.policy import Action, Array
from optnas.samplers.reward import AUGMENTATION, Rewards
from optnas.study.seeds import derived_seed
from optnas.utils.checks import check_counts, check_numbers, check_wholes

State = tuple[str, int, tuple[Action, ...]]
"""The parameter that is drawn, the number of its actions, and the last decisions before it."""
INITIAL = 0.5
"""The value of an action that no trial has taken: the reward of a median trial."""
STEPS = 9
"""ε falls from 0.9 to 0.1 in this number of equal steps."""


class QLearningSampler(HistorySampler):
    """Learns by Q-learning which decision is worth most, given the last few before it.

    The value of a decision is that of the best one after it; the value of a trial's last decision
    is the mean reward of the trials that took it. The reward of a feasible trial lies between 0
    and 1: it is the share of trials that were worse, with several objectives by the augmented
    Chebyshev value under a preference (weights of the objectives). There are `preferences` of
    them, drawn at random for the study, and the trials take turns. Infeasible, pruned and failed
    trials have a reward below 0.

    Continuous ranges, and ordered ones with more than 32 values, are cut into 16 bins; within a bin
    the value is uniform. Categories have one action each, however many they are. An action that was
    never taken is worth as much as a median trial, so where there are more actions than trials,
    those that disappointed are left for untried ones. Actions that lead to nothing untried are
    skipped.

    Example:
        ```python
        import optuna

        import optnas

        study = optuna.create_study(sampler=optnas.QLearningSampler(schedule=200, seed=0))
        ```

    Args:
        schedule: The number of finished trials after which ε is at its lowest, 0.1. A search with
            fewer trials should say so; one with many more may explore for longer.
        random_share: The share of them at the start that is drawn at random (ε = 1).
        learning_rate: How far an update moves a value towards its target, from 0 to 1.
        replays: The number of finished trials, drawn at random, that are learned from again after
            each new one.
        memory: The number of the last decisions that the value of the next one depends on; None
            for all of them.
        preferences: The number of preferences, if there are several objectives.
        seed: The study's seed. Without one, the sampler takes the seed that the study keeps, or
            draws one and keeps it there.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(
        self,
        *,
        schedule: int = 60,
        random_share: float = 0.5,
        learning_rate: float = 0.3,
        replays: int = 20,
        memory: int | None = 1,
        preferences: int = 16,
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        check_counts(schedule=schedule, preferences=preferences)
        check_numbers(random_share=random_share, learning_rate=learning_rate)
        check_wholes(replays=replays, memory=memory)
        if not 0 <= random_share < 1:
            raise ValueError(f"random_share must be from 0 to below 1, got {random_share}")
        if not 0 < learning_rate <= 1:
            raise ValueError(f"learning_rate must be above 0 and at most 1, got {learning_rate}")
        self._schedule, self._random_share = schedule, random_share
        self._learning_rate, self._replays = learning_rate, replays
        self._memory, self._preferences = memory, preferences

    def start(self, ask: Ask) -> Draw:
        """Returns a draw of the trial's parameters by their values as they are now."""
        table = ask.history.fold(self._new_table, _Table.add)
        return _Episode(table, self._epsilon(len(ask.history.trials)), ask)

    def _epsilon(self, finished: int) -> float:
        """The probability that a decision is drawn at random, after a number of trials."""
        random = self._random_share * self._schedule
        if finished < random:
            return 1.0
        # Else the first trial of a step may come out a hair too early.
        step = math.floor(STEPS * (finished - random) / (self._schedule - random) + 1e-9)
        return round(0.9 - 0.1 * min(step, STEPS - 1), 1)

    def _new_table(self, history: History) -> _Table:
        objectives = len(history.study.directions)
        rng = np.random.default_rng(derived_seed(self._study_seed, -1, "preferences"))
        number = self._preferences if objectives > 1 else 1
        return _Table(
            rng.dirichlet(np.ones(objectives), size=number),
            Rewards(history.study.directions, {}, 0.0, history.limits),
            self._learning_rate,
            self._replays,
            self._memory,
            self._study_seed,
        )


def state_of(done: Sequence[Action], name: str, count: int, memory: int | None) -> State:
    """The state in which a parameter is drawn, after the decisions before it."""
    first = 0 if memory is None else max(len(done) - memory, 0)
    return name, count, tuple(done[first:])


class _Table:
    """The values of all actions under each preference, and the trials they are learned from."""

    def __init__(
        self,
        preferences: Array,
        rewards: Rewards,
        learning_rate: float,
        replays: int,
        memory: int | None,
        seed: int,
    ) -> None:
        self.preferences = preferences
        self._rewards, self._learning_rate = rewards, learning_rate
        self._replays, self.memory, self._seed = replays, memory, seed
        self.values: dict[State, Array] = {}
        self._trials: list[list[tuple[State, int]]] = []

    def add(self, trial: FrozenTrial) -> None:
        """Adds the next finished trial: learns from it, and from some of those before it."""
        done: list[Action] = []
        path = []
        for name, distribution in trial.distributions.items():
            taken = action(name, distribution, trial.params[name])
            if taken.actions > 1:
                path.append((state_of(done, name, taken.actions, self.memory), taken.taken))
                done.append(taken)
        self._rewards.add(trial)
        self._trials.append(path)
        rng = Random(derived_seed(self._seed, len(self._trials), "replay"))
        which = [rng.randrange(len(self._trials)) for _ in range(self._replays)]
        which.append(len(self._trials) - 1)
        rewards = self._rewards.rewards(self.preferences, which)
        # From 0 to 1 for feasible trials, as accuracies are in the paper.
        for at, reward in zip(which, 1 + rewards.T / (1 + AUGMENTATION), strict=True):
            self._update(self._trials[at], reward)

    def _update(self, path: Sequence[tuple[State, int]], reward: Array) -> None:
        """Q-learning's update of each decision, the last one first (equation 3 of the paper)."""
        target = reward
        for state, taken in reversed(path):
            known = self.values.get(state)
            values = np.full((state[1], len(reward)), INITIAL) if known is None else known.copy()
            values[taken] += self._learning_rate * (target - values[taken])
            self.values[state] = values  # a copy: trials that are being drawn have the old ones
            target = values.max(axis=0)


class _Episode:
    """Draws the parameters of one trial."""

    def __init__(self, table: _Table, epsilon: float, ask: Ask) -> None:
        self._values, self._memory = dict(table.values), table.memory  # as they are now
        self._preference = ask.place % len(table.preferences)
        self._epsilon, self._ask = epsilon, ask

    def __call__(self, name: str, distribution: BaseDistribution) -> Any:
        """Draws the value of a parameter, given the decisions before it."""
        done = [taken for d in self._ask.decisions if (taken := action(*d)).actions > 1]
        count = count_of(distribution)
        weights = [1.0] * count
        if self._ask.rng(f"explore:{name}").random() >= self._epsilon:
            state = state_of(done, name, count, self._memory)
            values = self._values[state][:, self._preference] if state in self._values else None
            if values is not None:
                weights = self._best(values.tolist(), name, distribution)
        return draw_action(self._ask, name, distribution, weights)

    def _best(self, values: list[float], name: str, distribution: BaseDistribution) -> list[float]:
        """Equal weights for the actions of the highest value that lead to something untried."""
        closed = self._ask.closed(name, distribution)
        free = open_actions([1.0] * len(values), distribution, closed)
        best = max(value for value, weight in zip(values, free, strict=True) if weight)
        return [weight * (value == best) for value, weight in zip(values, free, strict=True)]
