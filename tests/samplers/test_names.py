"""The same network drawn by other decisions isn't trained twice."""

from dataclasses import dataclass
from functools import partial

import optuna
import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn

import optnas
from optnas.samplers import make_sampler
from optnas.samplers.names import name_of


def pair(trial):
    """Two operations whose order doesn't matter: 21 networks, 36 choices."""
    first, second = (trial.suggest_categorical(n, "abcdef") for n in ("first", "second"))
    return "".join(sorted(first + second))


def values(name):
    return 1 + sum(map(ord, name)) % 7, sum(map(ord, name))


def test_the_predictor_proposes_no_network_twice_as_long_as_there_is_another():
    study = optuna.create_study(
        directions=["minimize"] * 2,
        sampler=optnas.PredictorSampler(space=pair, n_candidates=30, seed=0),
    )
    study.optimize(lambda trial: values(pair(trial)), n_trials=21)
    names = [pair(FixedTrial(trial.params)) for trial in study.trials]
    assert len(set(names[6:])) == 15  # the startup trials are spread by their parameters
    assert not set(names[6:]) & set(names[:6])


class Pair(optnas.SearchSpace):
    """`pair` as a search space."""

    example_inputs = torch.zeros(1, 2)

    def suggest(self, trial):
        return pair(trial)

    def build(self, architecture):
        return nn.Linear(2, 1 + sum(map(ord, architecture)) % 50)


def search_objective():
    return optnas.Objective(
        Pair(),
        optnas.FunctionEvaluator(lambda model, recipe, report: {"loss": 0.5}, {"loss": "minimize"}),
        ("loss", "params"),
    )


@pytest.mark.parametrize(
    "name", ["predictor", "evolution", "local_search", "reinforce", "qlearning"]
)
def test_no_sampler_repeats_a_network_in_a_search(name):
    own = search_objective()
    study = optuna.create_study(directions=own.directions, sampler=make_sampler(name, 0))
    study.sampler.fill_in(own.suggest, own.preview)
    study.optimize(own, n_trials=15)
    networks = {trial.user_attrs["architecture"] for trial in study.trials}
    assert len(networks) == 15
    study.optimize(own, n_trials=12)  # soon all 21 are known: it ends all the same
    assert len(study.trials) == 27


def test_an_objective_names_architecture_and_recipe_as_its_trials_do():
    own = search_objective()
    study = optuna.create_study(directions=own.directions)
    study.optimize(own, n_trials=1)
    (trial,) = study.trials
    named = own.suggest(FixedTrial(trial.params))
    assert named == (trial.user_attrs["architecture"], trial.user_attrs["recipe"])


class Plain:
    """Its text is its address."""


@dataclass(frozen=True)
class Given:
    part: object


class Titled(tuple):
    """A tuple that says what its text is."""

    def __str__(self):
        return "titled"


def test_what_has_no_text_of_its_own_has_no_name():
    assert name_of("a") == "a"
    assert name_of((1, "a")) == "(1, 'a')"
    assert name_of(Given((1, None))) == "Given(part=(1, None))"
    assert name_of(Titled([nn.ReLU()])) == "titled"
    assert name_of(None) == ""
    for nameless in (Plain(), nn.Linear(1, 1), torch.zeros(1), lambda: 1, partial(Plain().__str__)):
        for holder in (nameless, (1, nameless), [nameless], {"a": nameless}, Given((1, nameless))):
            assert name_of(holder) == "", holder


def test_a_text_that_all_architectures_share_leaves_the_predictor_its_choice():
    def space(trial):
        return bool(grid(trial))

    study = optuna.create_study(
        directions=["minimize"] * 2,
        sampler=optnas.PredictorSampler(space=space, n_candidates=30, seed=0),
    )
    study.optimize(grid, n_trials=30)
    # All of the front has b = 1, which a random trial has once in 20 times.
    assert sum(trial.params["b"] == 1 for trial in study.trials[6:]) >= 6


def grid(trial):
    a, b = (trial.suggest_int(name, 1, 20) for name in "ab")
    return a + 5.0 * b, float(20 - a + 5 * b)


def test_a_space_that_looks_up_what_isnt_there_proposes_the_rest():
    def space(trial):
        return {a: a for a in range(1, 11)}[trial.suggest_int("a", 1, 20)]

    study = optuna.create_study(
        directions=["minimize"] * 2,
        sampler=optnas.PredictorSampler(space=space, n_candidates=30, seed=0),
    )
    study.optimize(lambda trial: (a := space(trial), -a), n_trials=10)
    assert {trial.params["a"] for trial in study.trials} == set(range(1, 11))


class Nothing:
    """A preview that knows nothing."""

    constraints, values, known = {}, {}, ()


class Listed(optnas.HistorySampler):
    """Draws 0; if that is refused, 1, which has no network, and then 2."""

    def start(self, ask):
        return ask.inherit({"x": min(ask.attempt, 2), "y": ask.place})


def test_in_place_of_a_tried_network_none_is_drawn_that_cant_run():
    def suggest(trial):
        x = trial.suggest_int("x", 0, 9)
        trial.suggest_int("y", 0, 9)
        if x == 1:
            raise optuna.TrialPruned
        return str(x)

    sampler = Listed(seed=0)
    sampler.fill_in(suggest, lambda params: Nothing)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: float(suggest(trial)), n_trials=2)
    assert [trial.params["x"] for trial in study.trials] == [0, 2]
