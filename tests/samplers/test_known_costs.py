"""Costs that the predictor is told, and that a trial contradicts."""

import math
import warnings
from decimal import Decimal
from fractions import Fraction
from random import Random

import numpy as np
import optuna
import pytest
import torch
from optuna.distributions import IntDistribution
from optuna.trial import create_trial
from torch import nn

import optnas
from optnas.errors import InputError
from optnas.samplers.acquisition import Predictor
from optnas.samplers.known import Known
from optnas.samplers.scaling import Modelled


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


@pytest.mark.parametrize(
    "found",
    [{3: 1.0}, {-1: 1.0}, {"width": 1.0}, {1: "1.0"}, {1: None}, {1: [1.0]}, {1.0: 1.0}, None],
    ids=str,
)
def test_costs_of_another_form_are_refused_at_the_first_trial(found):
    sampler = optnas.PredictorSampler(
        lambda trial: trial.suggest_int("width", 1, 40), lambda params: found, seed=0
    )
    study = optuna.create_study(directions=["minimize"] * 3, sampler=sampler)
    with pytest.raises(TypeError, match=r"positions of objectives \(0 to 2\) to numbers, got"):
        study.ask().suggest_int("width", 1, 40)


def unknown(params):
    return {1: math.nan if params["n"] % 7 == 0 else params["n"]}


def divided(params):
    return {1: 1 / (params["n"] % 7)}


def too_large(params):
    return {1: math.exp(800 * (params["n"] % 7 == 0))}


@pytest.mark.parametrize("costs", [unknown, divided, too_large])
@pytest.mark.parametrize("told", [True, False])
def test_a_network_whose_cost_cannot_be_computed_is_not_chosen(costs, told):
    def draw(trial):
        return trial.suggest_int("n", 1, 40)

    def objective(trial):
        n = draw(trial)
        return 1 / n, costs({"n": n})[1]

    sampler = optnas.PredictorSampler(draw if told else None, costs, seed=0, n_startup_trials=3)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    study.enqueue_trial({"n": 14})  # somebody wants one of them; it fails
    study.optimize(objective, n_trials=10, catch=(ValueError, ArithmeticError))
    states = [trial.state.name for trial in study.trials]
    if told:
        assert states == ["FAIL"] + ["COMPLETE"] * 9
    else:  # the first ones are drawn at random
        assert states[-6:] == ["COMPLETE"] * 6


def test_proxies_of_another_form_are_refused():
    sampler = optnas.PredictorSampler(
        lambda trial: trial.suggest_int("width", 1, 40), proxies=lambda params: {"slope": "1"}
    )
    study = optuna.create_study(sampler=sampler)
    with pytest.raises(TypeError, match="from names to numbers, got"):
        study.ask().suggest_int("width", 1, 40)


@pytest.mark.parametrize(
    "number", [Decimal, Fraction, torch.tensor, np.float32], ids=lambda number: number.__name__
)
def test_costs_may_be_numbers_of_any_kind(number):
    study = study_with(lambda params: {np.int64(1): number(params["width"]), True + 1: 2.0})
    plain = study_with(lambda params: {1: params["width"], 2: 2.0})
    for one in (study, plain):
        with pytest.warns(UserWarning, match="objective 2"):
            one.optimize(objective, n_trials=9)
    assert [t.params for t in study.trials] == [t.params for t in plain.trials]


def test_a_cost_whose_terms_cancel_out_is_right_but_for_rounding():
    study = study_with(lambda params: {1: 0.1 + 0.2 - 0.3})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study.optimize(lambda trial: (objective(trial)[0], 0.0, 1.0), n_trials=8)


def test_an_infinite_cost_of_the_other_sign_is_wrong():
    study = study_with(lambda params: {1: -math.inf})
    with pytest.warns(UserWarning, match="is inf, and -inf by what"):
        study.optimize(lambda trial: (objective(trial)[0], math.inf, 1.0), n_trials=8)


def test_a_wrong_cost_is_never_taken_for_the_score(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "optnas.samplers.aim.median_loss", lambda *args: asked.append(args[-1]) or math.inf
    )
    study = study_with(lambda params: {0: 1.0, 1: params["width"]})
    with pytest.warns(UserWarning, match="objective 0"):
        study.optimize(objective, n_trials=9)
    assert set(asked) == {2}


def test_one_sampler_serves_one_objective_after_the_other():
    """It forgets what it was told of the first one."""
    sampler = optnas.PredictorSampler(n_candidates=20, n_checked=5, n_startup_trials=3, seed=0)
    for name, unit in [("width", 8), ("width", 16), ("hidden", 8)]:

        def build(trial, name=name, unit=unit):
            return nn.Linear(2, unit * trial.suggest_int(name, 1, 40))

        space = optnas.FunctionSpace(build, torch.zeros(1, 2))
        evaluator = optnas.FunctionEvaluator(
            lambda model, recipe, report: {"loss": 1 / model.out_features}, {"loss": "minimize"}
        )
        objective = optnas.Objective(space, evaluator, ("loss", "params"))
        sampler.fill_in(objective.suggest, objective.preview)
        study = optuna.create_study(directions=objective.directions, sampler=sampler)
        study.optimize(objective, n_trials=6)
        assert {trial.state.name for trial in study.trials} == {"COMPLETE"}


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


WIDTHS = {"width": IntDistribution(0, 1000), "kind": IntDistribution(0, 9)}


def acquired(widths, limits=(math.inf, math.inf)):
    """What the predictor thinks of widths, after seven trials of which none costs more than 100."""
    study = optuna.create_study(directions=["minimize"] * 2)
    for width, kind in ((5, 1), (10, 4), (20, 2), (40, 7), (60, 5), (80, 3), (100, 6)):
        values = 1 / (width + 1) + kind / 100, width
        params = {"width": width, "kind": kind}
        study.add_trial(create_trial(params=params, distributions=WIDTHS, values=values))
    known = Known(lambda params: {1: params["width"]}, None)
    known.begin(study)
    predictor = Predictor(study.trials, [], study, {}, known, np.array(limits), None, None, True)
    pool = [{"width": (WIDTHS["width"], width), "kind": (WIDTHS["kind"], 0)} for width in widths]
    return predictor.acquisition(pool, Random(0))


def test_a_cost_of_0_leaves_the_values_of_other_networks_as_they_are():
    widths = [2, 10, 60, 90, 150]
    alone, together = acquired(widths), acquired([*widths, 0])
    assert together[:-1] == pytest.approx(alone, rel=0.3, abs=0.01)
    assert together[-1] < 5 * together[0]


def test_a_limit_beyond_all_that_was_seen_leaves_room_up_to_it():
    widths = [2, 60, 90, 105, 110, 130]
    free = acquired(widths)
    assert (free[:5] > 0).all()
    assert acquired(widths, (math.inf, 300.0)).tolist() == free.tolist()
    within = acquired(widths, (math.inf, 102.0))
    assert (within[:3] > 0).all()
    assert not within[3:].any()


def test_what_is_not_positive_counts_as_half_of_the_least_positive_value():
    modelled = Modelled(np.array([[1.0, -2.0], [4.0, 3.0], [-math.inf, 0.0]]))
    assert modelled.logs.tolist() == [True, False]
    found = modelled(np.array([[0.0, 0.0], [0.5, -1.0], [math.inf, 1.0]]))
    assert found[:, 0].tolist() == [math.log(0.25), math.log(0.5), math.inf]
    assert found[:, 1].tolist() == [0.0, -1.0, 1.0]
    assert modelled(np.array([[-math.inf, 0.0]]))[0, 0] == math.log(0.5)


def sums_of_even(params):
    if params["c"] % 2:
        raise ValueError("no network")
    return {1: sum(params.values())}


def abc(trial):
    return tuple(trial.suggest_int(name, 0, 9) for name in "abc")


def mostly_failing(trial):
    a, b, c = abc(trial)
    if a + b < 9:
        raise MemoryError
    return 1 / (1 + a + c), a + b + c


@pytest.mark.parametrize("staged", [False, True])
@pytest.mark.parametrize("seed", [1, 4])
def test_costs_can_be_computed_of_what_is_drawn_because_another_may_fail(seed, staged):
    sampler = optnas.PredictorSampler(abc, sums_of_even, n_candidates=40, n_checked=10, seed=seed)
    if staged:
        sampler = optnas.StagedSampler(sampler, [optnas.Stage("[bc]", 2)])
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    study.optimize(mostly_failing, n_trials=20, catch=MemoryError)
    assert [t.number for t in study.trials if t.params["c"] % 2] == []


def test_costs_can_be_computed_of_random_startup_trials_once_a_trial_has_failed():
    sampler = optnas.PredictorSampler(costs=sums_of_even, n_startup_trials=20, seed=7)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    study.optimize(mostly_failing, n_trials=20, catch=MemoryError)
    states = [trial.state.name for trial in study.trials]
    mixed = max(states.index("FAIL"), states.index("COMPLETE")) + 1
    assert mixed < 10
    assert [t.number for t in study.trials[mixed:] if t.params["c"] % 2] == []


@pytest.mark.parametrize("taught", [False, True])
def test_a_study_with_a_wrong_cost_that_is_nan_for_some_resumes_exactly(taught):
    def draw(trial):
        return trial.suggest_int("width", 1, 30), trial.suggest_int("depth", 1, 6)

    def objective(trial):
        width, depth = draw(trial)
        return 1 / width + abs(depth - 3) / 10, width * depth, depth

    def costs(params):
        return {1: math.nan if params["width"] % 3 == 0 else 7.0, 2: params["depth"]}

    def study(sampler):
        return optuna.create_study(directions=["minimize"] * 3, sampler=sampler)

    def sampler():
        proxies = {"proxies": lambda params: {"width": params["width"]}}
        few = {"n_candidates": 30, "n_checked": 10, "n_startup_trials": 4}
        source = older if taught else None
        return optnas.PredictorSampler(draw, costs, source=source, seed=1, **proxies, **few)

    older = study(optnas.RegularizedEvolutionSampler(seed=0))
    older.optimize(objective, n_trials=30)
    whole, resumed = study(sampler()), study(None)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "objective 1 of trial")
        whole.optimize(objective, n_trials=13)
        for _ in range(13):
            resumed.sampler = sampler()
            resumed.optimize(objective, n_trials=1)
    assert [t.params for t in resumed.trials] == [t.params for t in whole.trials]
