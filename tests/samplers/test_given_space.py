"""A space that draws only a part of what the objective draws."""

import math
import pickle
from random import Random
from statistics import mean

import optuna
import pytest
from optuna.trial import FixedTrial, TrialState

import optnas
from optnas.samplers.given_space import GivenSpace
from optnas.samplers.history import History
from optnas.utils.draft import Draft


def width(trial):
    return trial.suggest_int("width", 1, 100)


def nothing(trial):
    width(trial)


def both(trial):
    drawn = width(trial)
    return drawn, trial.suggest_float("lr", 1e-6, 1.0, log=True)


def objective(trial):
    drawn, lr = both(trial)
    return 1 / drawn + abs(math.log10(lr) + 3), drawn


def costs(params):
    return {1: params["width"]}


def study_of(space, objective=objective, trials=18):
    sampler = optnas.PredictorSampler(space, costs, n_candidates=60, n_checked=10, seed=0)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    study.optimize(objective, n_trials=trials)
    return study


@pytest.mark.parametrize("space", [width, nothing, both])
def test_what_a_space_leaves_out_is_learned_from_the_trials(space):
    trials = study_of(space).trials
    away = [abs(math.log10(trial.params["lr"]) + 3) for trial in trials]
    assert mean(away[-8:]) < 0.6  # 1.5 at random


def test_one_network_with_another_learning_rate_is_another_trial():
    def few(trial):
        drawn = trial.suggest_int("width", 1, 2)
        trial.suggest_float("lr", 1e-6, 1.0, log=True)
        return 1 / drawn + abs(math.log10(trial.params["lr"]) + 3), drawn

    def named(trial):
        return f"width {trial.suggest_int('width', 1, 2)}"

    away = [abs(math.log10(t.params["lr"]) + 3) for t in study_of(named, few).trials]
    assert mean(away[-8:]) < 0.6


def test_what_is_left_out_is_drawn_where_trials_drew_it():
    def rest(trial):
        if trial.suggest_int("depth", 1, 2) == 2 and trial.suggest_categorical(
            "skip", [True, False]
        ):
            trial.suggest_float("scale", 0.0, 1.0)
        if trial.suggest_categorical("optimizer", ["sgd", "adam"]) == "sgd":
            trial.suggest_float("momentum", 0.0, 1.0)

    def given(trial):
        if trial.suggest_int("depth", 1, 2) == 2:
            trial.suggest_categorical("skip", [True, False])

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda trial: rest(trial) or 0.0, n_trials=30)
    space, history = GivenSpace(given), History(study)
    history.update(study.ask()._cached_frozen_trial)
    suggest, rng = space.whole(history, history.trials), Random(0)
    for _ in range(40):
        draft = Draft({}, rng)
        suggest(draft)
        fixed = FixedTrial(draft.params)
        rest(fixed)
        assert fixed.params.keys() == draft.params.keys()


def test_a_space_that_leaves_out_nothing_is_taken_as_it_is():
    study = study_of(both, trials=8)
    space, history = GivenSpace(both), History(study)
    history.update(study.ask()._cached_frozen_trial)
    assert space.whole(history, history.trials) is both
    assert len(space.names(history)) == 8
    assert pickle.loads(pickle.dumps(study.sampler)).seed == 0


def test_a_space_that_gives_up_beyond_a_bound_keeps_it_from_the_first_trial_on():
    def draw(trial):
        return sum(trial.suggest_int(name, 1, 100) for name in "abc")

    def space(trial):
        if draw(trial) > 100:
            raise optuna.TrialPruned

    def pruned_beyond(trial):
        total = draw(trial)
        trial.set_constraint("total", total - 100)
        if total > 100:
            raise optuna.TrialPruned
        return 1 / total, total

    def ended(space):
        sampler = optnas.PredictorSampler(
            space, lambda params: {1: sum(params.values())}, n_candidates=60, seed=0
        )
        study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
        study.optimize(pruned_beyond, n_trials=9)
        return [trial.state for trial in study.trials].count(TrialState.PRUNED)

    assert ended(space) == 0
    assert ended(draw) > 0  # the bound is learned from these
