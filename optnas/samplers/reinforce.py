"""Reinforcement learning: a policy draws an architecture decision by decision.

Outline, for one trial:
1. `start` learns from the trials finished since (`_Learner.add`). A trial's reward under any
   preference among the objectives can be computed afterwards (`reward.Rewards`). So after each
   trial, `policy.Policy` takes two gradient steps towards the best trials so far under 32
   preferences, drawn anew for each step.
2. It draws the trial's preference, the weights of the objectives, from the seed and the place.
3. It returns an `episode.Episode`, which draws each parameter from the policy as it is now, until
   the architecture is an untried one.

Sources: Zoph and Le, Neural architecture search with reinforcement learning, ICLR 2017 (arXiv
1611.01578), for the recurrent policy; Williams, Simple statistical gradient-following algorithms
for connectionist reinforcement learning, Machine Learning 8 (1992), for REINFORCE; Abolafia et al.,
Neural program synthesis with priority queue training, 2018 (arXiv 1801.03526), for imitating the
best trials in place of REINFORCE's rewards (also Oh et al., Self-imitation learning, ICML 2018,
arXiv 1806.05635); Andrychowicz et al., Hindsight experience replay, NeurIPS 2017 (arXiv
1707.01495), for learning from a trial under other preferences than its own; Knowles, ParEGO, IEEE
Transactions on Evolutionary Computation 10 (2006), for the augmented Chebyshev value and its weight
of 0.05; Tan et al., MnasNet, CVPR 2019 (arXiv 1807.11626), for the reward with targets.

What differs: a trial is an episode and each `suggest_*` an action, so any define-by-run space will
do; the queue has one trial for each preference; the reward is of ranks; and nothing is proposed
twice. Nothing is weighted by its importance, so PPO's clipping has no place here.

Defaults: learning rate, entropy bonus, and the numbers of steps and preferences were chosen on
NAS-Bench-201 with CIFAR-10 (benchmarks/samplers_nb201.py). Ten seeds don't tell them from their
neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from optuna.distributions import BaseDistribution
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
from optnas.utils.checks import check_numbers
from optnas.utils.text import there_are

AUGMENTATION = 0.05
"""The weight of the sum in the augmented Chebyshev value: ParEGO's."""
HIDDEN = 32
"""The size of the policy's state."""
FEWEST = 5
"""The number of finished trials from which on the policy learns."""
STEPS, BATCH = 2, 32
"""The number of gradient steps after each trial, and that of the preferences in each of them."""


class ReinforceSampler(HistorySampler):
    """A policy learns to draw the best architecture so far under each preference.

    Each trial draws a preference (weights of the objectives, uniformly from the simplex), and the
    policy draws an architecture for it. The reward is the negative augmented Chebyshev value of the
    objectives' ranks under a preference. With `targets` it is MnasNet's instead: the quality in the
    other objectives, times (cost / target) ^ exponent for each target. Under each preference the
    policy imitates the trial with the highest reward: by the gradient of that trial's log
    probability, which is REINFORCE's where this trial has the reward 1 and all others 0.

    Continuous ranges, and ordered ones with more than 32 values, are cut into 16 bins; within a bin
    the value is uniform. Infeasible, pruned and failed trials have a lower reward than any other.
    An architecture that was tried is drawn again as a whole.

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
        entropy: The weight of the entropy bonus; with more, the policy stays closer to random.
        targets: Targets of minimised, positive costs, by objective name or position.
        exponent: MnasNet's w, below 0. By default, twice the cost is worth 5 % of the quality.
        seed: The study's seed. Without one, the sampler takes the seed that the study keeps, or
            draws one and keeps it there.

    Raises:
        ValueError: A number is out of range.
        TypeError: `targets` is no dictionary.
        InputError: At the start of a search, or at the first trial, if a target is given for no
            such objective.
    """

    def __init__(
        self,
        *,
        learning_rate: float = 0.02,
        entropy: float = 0.1,
        targets: Mapping[str | int, float] | None = None,
        exponent: float = -0.07,
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        if not isinstance(targets, Mapping | None):
            raise TypeError(
                f"targets must be a dictionary such as {{'flops': 1e6}}, got {targets!r}"
            )
        positive = {
            "learning_rate": learning_rate,
            **{f"targets[{k!r}]": target for k, target in (targets or {}).items()},
        }
        check_numbers(**positive, entropy=entropy, exponent=exponent)
        for name, value in positive.items():
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be above 0, got {value}")
        if not 0 <= entropy < math.inf:
            raise ValueError(f"entropy must be at least 0, got {entropy}")
        if not -math.inf < exponent < 0:
            raise ValueError(f"exponent must be below 0, got {exponent}")
        self._learning_rate, self._entropy = learning_rate, entropy
        self._targets, self._exponent = dict(targets or {}), exponent

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Checks the seed, and that all targets are among the objectives."""
        super().before_trial(study, trial)
        self.check_objectives(objective_names(study), study.directions)

    def check_objectives(self, names: Sequence[str], directions: Sequence[StudyDirection]) -> None:
        """Raises InputError unless all targets are among the objectives."""
        _positions(names, directions, self._targets)

    def start(self, ask: Ask) -> Draw:
        """Returns a draw of the trial's parameters from the policy as it is now."""
        learner = ask.history.fold(self._new_learner, _Learner.add)
        rng = np.random.default_rng(derived_seed(self._study_seed, ask.place, "preference"))
        (preference,) = learner.preferences(rng, 1)
        return Episode(learner.policy.frozen(), preference, ask, learner.distributions)

    def _new_learner(self, history: History) -> _Learner:
        directions = history.study.directions
        targets = _positions(objective_names(history.study), directions, self._targets)
        return _Learner(
            Policy(len(directions), HIDDEN, self._learning_rate, self._study_seed),
            Rewards(directions, targets, self._exponent, history.limits, AUGMENTATION),
            self._entropy,
            len(directions),
            self._study_seed,
        )


class _Learner:
    """The policy, and the trials that it imitates.

    Attributes:
        policy: As of the last trial.
        distributions: Those of all parameters so far.
    """

    def __init__(
        self, policy: Policy, rewards: Rewards, entropy: float, objectives: int, seed: int
    ) -> None:
        self.policy = policy
        self.distributions: dict[str, BaseDistribution] = {}
        self._rewards, self._entropy = rewards, entropy
        self._objectives, self._seed = objectives, seed
        self._best: dict[int, list[Action]] = {}
        self._trials = 0

    def preferences(self, rng: np.random.Generator, number: int) -> Array:
        """Weights of the objectives, uniform on the simplex, of shape `(number, objectives)`."""
        return rng.dirichlet(np.ones(self._objectives), size=number)

    def add(self, trial: FrozenTrial) -> None:
        """Adds the next finished trial, and imitates the best trial under each of some preferences.

        The best ones are found anew, because the trial changes the ranks of all.
        """
        self._rewards.add(trial)
        self.distributions.update(trial.distributions)
        if self._trials in self._rewards.best:
            actions = [
                action(name, distribution, trial.params[name])
                for name, distribution in trial.distributions.items()
            ]
            known = self._best | {self._trials: actions}
            self._best = {i: known[i] for i in self._rewards.best}
        self._trials += 1
        if self._trials < FEWEST or not self._best:
            return
        rng = np.random.default_rng(derived_seed(self._seed, self._trials, "imitation"))
        for _ in range(STEPS):
            preferences = self.preferences(rng, BATCH)
            imitated = [self._best[i] for i in self._rewards.best_of(preferences)]
            self.policy.ascend(self.policy.gradient(imitated, preferences, self._entropy))


def _positions(
    names: Sequence[str],
    directions: Sequence[StudyDirection],
    targets: Mapping[str | int, float],
) -> dict[int, float]:
    """The targets by the position of their objective."""
    found = {}
    for key, target in targets.items():
        position = names.index(key) if key in names else key
        if type(position) is not int or not 0 <= position < len(names):
            raise InputError(f"targets: no objective {key!r}; {there_are(key, names)}")
        if directions[position] == StudyDirection.MAXIMIZE:
            raise InputError(f"targets: {names[position]} is maximised; a target is for a cost")
        found[position] = target
    if found and len(found) == len(names):
        raise InputError("targets: at least one objective must have none; it is the quality")
    return found
