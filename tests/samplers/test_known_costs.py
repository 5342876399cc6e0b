"""Costs that the predictor is told, and that a trial contradicts."""

import warnings

import optuna
import pytest
import torch
from torch import nn

import optnas
from optnas.errors import InputError


def objective(trial):
    width = trial.suggest_int("width", 1, 40)
    return 1 / width, width, 2 * width


def study_with(costs):
    sampler = optnas.PredictorSampler(costs=costs, n_candidates=20, n_checked=5, seed=0)
    return optuna.create_study(directions=["minimize"] * 3, sampler=sampler)


def test_a_wrong_cost_is_warned_of_once_and_predicted():
    # Off by 9 % for the narrowest; the other cost is right.
    def costs(params):
        width = params["width"]
        return {1: width * (1.09 if width < 10 else 1.0), 2: 2 * width}

    study = study_with(costs)
    with pytest.warns(UserWarning, match="objective 1 of trial") as caught:
        study.optimize(objective, n_trials=12)
    assert len(caught) == 1
    said = str(caught[0].message)
    assert "by what the sampler knows before training" in said
    assert "predicts this objective" in said

    blind = study_with(lambda params: {2: 2 * params["width"]})
    blind.optimize(objective, n_trials=12)
    later = [[t.params for t in s.trials[6:]] for s in (study, blind)]
    first = [[t.params for t in s.trials[:6]] for s in (study, blind)]
    if first[0] == first[1]:
        assert later[0] == later[1]
    assert len({str(t.params) for t in study.trials}) == 12


@pytest.mark.parametrize("factor", [1.0, 1.0 + 1e-9])
def test_costs_that_are_right_but_for_rounding_are_believed(factor):
    study = study_with(lambda params: {1: factor * params["width"]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study.optimize(objective, n_trials=9)


def test_a_search_refuses_costs_that_its_trials_contradict():
    def build(trial):
        return nn.Linear(4, trial.suggest_int("width", 1, 40))

    search = optnas.Objective(
        optnas.FunctionSpace(build, torch.zeros(1, 4)),
        optnas.FunctionEvaluator(lambda model, recipe, report: {"loss": 0.5}, {"loss": "minimize"}),
        ("loss", "params"),
    )
    sampler = optnas.PredictorSampler(costs=lambda params: {1: 4.0 * params["width"]}, seed=0)
    study = optuna.create_study(directions=search.directions, sampler=sampler)
    sampler.fill_in(search.suggest, search.preview)
    with pytest.raises(InputError, match=r"params of trial 0 is \d+, and \d+ by what"):
        study.optimize(search, n_trials=9)
