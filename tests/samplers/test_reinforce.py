"""What the policy of `ReinforceSampler` imitates, and that it draws what is untried."""

import itertools
import math
from collections import Counter

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution

import optnas
from optnas.samplers.ask import Ask
from optnas.samplers.episode import Episode
from optnas.samplers.history import History
from optnas.samplers.policy import Action, Policy
from optnas.samplers.reinforce import HIDDEN, _Learner

OPERATIONS = CategoricalDistribution(["conv", "pool", "none"])
SPACE = {"first": OPERATIONS, "second": OPERATIONS}
CONTEXT = np.array([0.3, 0.7])


def peaked():
    """A policy that draws (conv, conv) nearly always."""
    policy = Policy(context=2, hidden=8, learning_rate=0.05, seed=0)
    likeliest = [Action(name, 3, 0) for name in SPACE]
    for _ in range(60):
        policy.ascend(policy.gradient([likeliest], CONTEXT[None], entropy=0.1))
    _, log_p = policy.step(np.zeros(8), None, "first", 3, CONTEXT)
    assert log_p[0] > math.log(0.99)
    return policy


def drawn(policy, tried, number):
    """How often the policy draws each architecture in one study, with different seeds."""
    study = optuna.create_study(directions=["minimize"] * 2)
    for chosen in tried:
        params = dict(zip(SPACE, chosen, strict=True))
        study.add_trial(optuna.create_trial(values=[0, 0], params=params, distributions=SPACE))
    study.ask()
    history = History(study)
    history.update(study.trials[-1])
    found = Counter()
    for seed in range(number):
        ask = Ask(history, seed, study.trials[-1])
        draw = Episode(policy, CONTEXT, ask, SPACE)
        for name in SPACE:
            ask.take(name, OPERATIONS, draw(name, OPERATIONS))
        found[tuple(value for _, _, value in ask.decisions)] += 1
    return found


def test_the_first_attempt_has_the_policys_probabilities():
    policy = Policy(context=2, hidden=8, learning_rate=0.05, seed=0)
    for _ in range(8):
        one = [Action("first", 3, 0), Action("second", 3, 2)]
        policy.ascend(policy.gradient([one], CONTEXT[None], entropy=0.0))
    found = drawn(policy, [], 1000)
    state, of_first = policy.step(np.zeros(8), None, "first", 3, CONTEXT)
    for i, j in itertools.product(range(3), repeat=2):
        _, of_second = policy.step(state, ("first", 3, i), "second", 3, CONTEXT)
        p = math.exp(of_first[i] + of_second[j])
        count = found[OPERATIONS.choices[i], OPERATIONS.choices[j]]
        assert abs(count - 1000 * p) < 4 * math.sqrt(1000 * p * (1 - p))


def test_near_what_was_tried_all_decisions_change_equally_often():
    found = drawn(peaked(), [("conv", "conv")], 400)
    assert ("conv", "conv") not in found
    first = sum(n for (one, other), n in found.items() if one != "conv" and other == "conv")
    second = sum(n for (one, other), n in found.items() if one == "conv" and other != "conv")
    assert first + second > 300
    assert abs(first - second) < 4 * math.sqrt(first + second)


def test_the_last_untried_architecture_is_found():
    every = list(itertools.product(OPERATIONS.choices, repeat=2))
    tried = [chosen for chosen in every if chosen != ("none", "pool")]
    assert drawn(peaked(), tried, 20) == {("none", "pool"): 20}


def test_a_choice_that_may_be_none_is_drawn():
    """None is a value, and not the lack of one."""

    def objective(trial):
        size = trial.suggest_categorical("size", [None, 1, 2])
        return abs((size or 3) - trial.suggest_int("width", 1, 3))

    study = optuna.create_study(sampler=optnas.ReinforceSampler(seed=0))
    study.optimize(objective, n_trials=9)
    assert len({str(t.params) for t in study.trials}) == 9


def test_the_policy_imitates_the_best_trial_under_each_preference():
    """Two objectives that agree on one decision, and want the opposite of the other."""

    def objective(trial):
        x, y = trial.suggest_int("x", 0, 5), trial.suggest_int("y", 0, 2)
        return x + 2 * abs(y - 1), 5 - x + 2 * abs(y - 1)

    sampler = optnas.ReinforceSampler(seed=0)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    study.optimize(objective, n_trials=60)
    learner = sampler._history.fold(sampler._new_learner, _Learner.add)

    def chances(first_weight):
        """The probabilities of each x, and of each y after the likeliest x."""
        preference = np.array([first_weight, 1 - first_weight])
        state, of_x = learner.policy.step(np.zeros(HIDDEN), None, "x", 6, preference)
        last = Action("x", 6, int(of_x.argmax()))
        _, of_y = learner.policy.step(state, last, "y", 3, preference)
        return np.exp(of_x), np.exp(of_y)

    (low, y_at_low), (high, y_at_high) = chances(0.9), chances(0.1)
    assert low[:2].sum() > 0.7 < high[4:].sum()
    assert y_at_low[1] > 0.7 < y_at_high[1]


def test_where_all_failed_nothing_is_imitated():
    sampler = optnas.ReinforceSampler(seed=0)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    for i in range(8):
        state = optuna.trial.TrialState.FAIL
        rate = FloatDistribution(0, 1)
        study.add_trial(
            optuna.create_trial(
                state=state,
                params={"kind": "conv", "rate": i / 8},
                distributions={"kind": OPERATIONS, "rate": rate},
            )
        )
    history = History(study)
    study.ask()
    history.update(study.trials[-1])
    sampler._open(study)
    learner = history.fold(sampler._new_learner, _Learner.add)
    _, log_p = learner.policy.step(np.zeros(HIDDEN), None, "kind", 3, np.array([0.5, 0.5]))
    np.testing.assert_allclose(np.exp(log_p), 1 / 3)
