"""Reinforcement learning: a policy draws an architecture decision by decision.

Outline, for one trial:
1. `start` learns from the trials finished since (`_learn`): `reward.Rewards` turns each into an
   advantage under its preference, and `policy.Policy` takes a gradient step (PPO: a few steps for
   each batch).
2. It draws the trial's preference, the weights of the objectives, from the seed and the place.
3. It returns an `episode.Episode`, which draws each parameter from the policy as it is now.
4. For PPO, `finish` stores the probability of the trial under that policy.

Sources: Williams, Simple statistical gradient-following algorithms for connectionist reinforcement
learning, Machine Learning 8 (1992); Zoph and Le, Neural architecture search with reinforcement
learning, ICLR 2017 (arXiv 1611.01578); Schulman et al., Proximal policy optimization algorithms,
2017 (arXiv 1707.06347); Tan et al., MnasNet, CVPR 2019 (arXiv 1807.11626), for the reward with
targets.

What differs: a trial is an episode and each `suggest_*` an action, so any define-by-run space will
do; the policy depends on a preference among the objectives, drawn for each trial, so one policy
learns the whole front; and nothing is proposed twice.

Defaults: learning rate, entropy bonus and size were chosen on NAS-Bench-201 with CIFAR-10
(benchmarks/samplers_nb201.py); the learning rate is near that of ENAS (0.0035).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from optnas.errors import InputError
from optnas.samplers.ask import Ask, Draw
from optnas.samplers.base import HistorySampler
from optnas.samplers.episode import Episode, action
from optnas.samplers.history import History
from optnas.samplers.policy import Action, Array, Policy
from optnas.samplers.reward import Rewards
from optnas.study.objectives import objective_names
from optnas.study.seeds import derived_seed
from optnas.utils.text import there_are

LOG_PROBABILITY = "optnas:log_probability"
"""On a trial: its log probability under the policy that drew it."""


class ReinforceSampler(HistorySampler):
    """Learns by policy gradients which decisions lead to a good architecture.

    Each trial draws a preference (weights of the objectives, uniformly from the simplex). Its
    reward is the negative augmented Chebyshev value of the objectives' ranks under the preference;
    the reward's baseline is the moving average of recent trials under the same preference. With
    `targets` the reward is MnasNet's instead: the quality in the other objectives, times
    (cost / target) ^ exponent for each target.

    Continuous ranges, and ordered ones with more than 32 values, are cut into 16 bins; within a bin
    the value is uniform. Infeasible, pruned and failed trials have a lower reward than any other.
    Actions that lead to nothing untried are skipped, but the policy learns as if it were free to
    take them.

    Example:
        ```python
        import optuna

        import optnas

        study = optuna.create_study(
            directions=["minimize", "minimize"],
            sampler=optnas.ReinforceSampler(targets={1: 50_000.0}, seed=0),
        )
        ```

    Args:
        learning_rate: The learning rate of the policy's optimizer (Adam).
        entropy: The weight of the entropy bonus; with more, the policy explores for longer.
        hidden: The size of the policy's state.
        targets: Targets of minimised, positive costs, by objective name or position.
        exponent: MnasNet's w, below 0. By default, twice the cost is worth 5 % of the quality.
        algorithm: `reinforce` updates after every trial. `ppo` takes `epochs` steps on PPO's
            clipped objective after every `batch_size` trials, with the probabilities that the
            trials had when they were drawn.
        batch_size: The number of trials in an update of PPO.
        epochs: The number of steps in an update of PPO.
        clip: PPO's ε: how far a trial's probability may move in an update.
        seed: The study's seed. Without one, the sampler takes the seed that the study keeps, or
            draws one and keeps it there.

    Raises:
        ValueError: A number is out of range.
        InputError: At the first trial, if a target is given for no such objective.
    """

    def __init__(
        self,
        *,
        learning_rate: float = 0.005,
        entropy: float = 0.05,
        hidden: int = 32,
        targets: Mapping[str | int, float] | None = None,
        exponent: float = -0.07,
        algorithm: Literal["reinforce", "ppo"] = "reinforce",
        batch_size: int = 10,
        epochs: int = 4,
        clip: float = 0.2,
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        if algorithm not in ("reinforce", "ppo"):
            raise ValueError(f"algorithm must be reinforce or ppo, got {algorithm!r}")
        for name, value in {
            "learning_rate": learning_rate,
            "hidden": hidden,
            "batch_size": batch_size,
            "epochs": epochs,
            "clip": clip,
            **{f"targets[{k!r}]": target for k, target in (targets or {}).items()},
        }.items():
            if not value > 0:
                raise ValueError(f"{name} must be above 0, got {value}")
        if entropy < 0:
            raise ValueError(f"entropy must be at least 0, got {entropy}")
        if exponent >= 0:
            raise ValueError(f"exponent must be below 0, got {exponent}")
        self._learning_rate, self._entropy, self._hidden = learning_rate, entropy, hidden
        self._targets, self._exponent = dict(targets or {}), exponent
        self._algorithm = algorithm
        self._batch_size, self._epochs, self._clip = batch_size, epochs, clip

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Checks the seed, and that all targets are among the objectives."""
        super().before_trial(study, trial)
        _positions(study, self._targets)

    def start(self, ask: Ask) -> Draw:
        """Returns a draw of the trial's parameters from the policy as it is now."""
        learner = ask.history.fold(self._new_learner, self._learn)
        return Episode(learner.policy.frozen(), learner.preference(ask.place), ask)

    def finish(self, ask: Ask, draw: Draw) -> None:
        """For PPO, stores the trial's log probability."""
        if self._algorithm == "ppo" and isinstance(draw, Episode):
            ask.mark(LOG_PROBABILITY, draw.log_probability())

    def _new_learner(self, history: History) -> _Learner:
        targets = _positions(history.study, self._targets)
        policy = Policy(
            len(history.study.directions), self._hidden, self._learning_rate, self._study_seed
        )
        rewards = Rewards(history.study.directions, targets, self._exponent, history.limits)
        return _Learner(history, policy, rewards, self._study_seed)

    def _learn(self, learner: _Learner, trial: FrozenTrial) -> None:
        lesson = learner.lesson(trial)
        if self._algorithm == "reinforce":
            learner.policy.ascend(
                learner.policy.gradient(
                    lesson.actions, lesson.preference, lesson.advantage, self._entropy
                )
            )
            return
        learner.batch.append(lesson)
        if len(learner.batch) == self._batch_size:
            for _ in range(self._epochs):
                self._clipped_step(learner.policy, learner.batch)
            learner.batch.clear()

    def _clipped_step(self, policy: Policy, batch: list[_Lesson]) -> None:
        """One step on PPO's clipped objective (Schulman et al., equation 7)."""
        for lesson in batch:
            policy.meet(lesson.actions)
        total: Array | float = 0.0
        for lesson in batch:
            log_p = policy.log_probability(lesson.actions, lesson.preference)
            ratio = math.exp(min(log_p - lesson.log_probability, 20.0))
            too_far = ratio > 1 + self._clip if lesson.advantage > 0 else ratio < 1 - self._clip
            advantage = 0.0 if too_far else ratio * lesson.advantage
            total = total + policy.gradient(
                lesson.actions, lesson.preference, advantage, self._entropy
            )
        policy.ascend(np.asarray(total) / len(batch))


class _Lesson(NamedTuple):
    """The data for a gradient step on one trial."""

    actions: list[Action]
    preference: Array
    advantage: float
    log_probability: float


class _Learner:
    """The policy, with the rewards and the batch that it learns from."""

    def __init__(self, history: History, policy: Policy, rewards: Rewards, seed: int) -> None:
        self.policy = policy
        self.batch: list[_Lesson] = []
        self._history, self._rewards, self._seed = history, rewards, seed
        self._objectives = len(history.study.directions)

    def preference(self, place: int) -> Array:
        """The weights of the objectives at a place, drawn uniformly from the simplex."""
        rng = np.random.default_rng(derived_seed(self._seed, place, "preference"))
        return rng.dirichlet(np.ones(self._objectives))

    def lesson(self, trial: FrozenTrial) -> _Lesson:
        """Adds the next finished trial, and returns its lesson."""
        actions = [
            action(name, distribution, trial.params[name])
            for name, distribution in trial.distributions.items()
        ]
        preference = self.preference(self._history.place(trial))
        self._rewards.add(trial)
        known = trial.system_attrs.get(LOG_PROBABILITY)
        if known is None:  # it was added by hand, or drawn by another sampler
            known = self.policy.log_probability(actions, preference)
        return _Lesson(actions, preference, self._rewards.advantage(preference), known)


def _positions(study: Study, targets: Mapping[str | int, float]) -> dict[int, float]:
    """The targets by the position of their objective."""
    names = objective_names(study)
    found = {}
    for key, target in targets.items():
        position = names.index(key) if key in names else key
        if not isinstance(position, int) or not 0 <= position < len(names):
            raise InputError(f"targets: no objective {key!r}; {there_are(key, names)}")
        if study.directions[position] == StudyDirection.MAXIMIZE:
            raise InputError(f"targets: {names[position]} is maximised; a target is for a cost")
        found[position] = target
    if found and len(found) == len(names):
        raise InputError("targets: at least one objective must have none; it is the quality")
    return found
