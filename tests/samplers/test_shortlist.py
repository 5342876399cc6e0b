"""What is computed of the predictor's proposals: each look is at fewer than the one before it."""

import optuna
import pytest

import optnas

STARTUP = 6


def objective(trial):
    width, depth = trial.suggest_int("width", 1, 60), trial.suggest_int("depth", 1, 9)
    return 1 / (width * depth), width * depth, width


def asked(trials=12, **settings):
    """Runs a study; returns what was computed anew for each ask after the startup trials."""
    counted, judged = [], []

    def costs(params):
        counted.append(str(params))
        return {1: params["width"] * params["depth"], 2: params["width"]}

    def proxies(params):
        judged.append(str(params))
        return {"area": params["width"] * params["depth"]}

    known = {"costs": costs, "proxies": proxies}
    for name in settings.pop("without", ()):
        del known[name]
    sampler = optnas.PredictorSampler(objective, **known, seed=0, **settings)
    study = optuna.create_study(directions=["minimize"] * 3, sampler=sampler)
    study.optimize(objective, n_trials=STARTUP)
    numbers = []
    for _ in range(trials - STARTUP):
        counted.clear()
        judged.clear()
        study.optimize(objective, n_trials=1)
        assert len(set(counted)) == len(counted)
        assert len(set(judged)) == len(judged)
        numbers.append((len(counted), len(judged)))
    return numbers, study


def test_costs_are_computed_of_40_and_proxies_of_16():
    numbers, study = asked()
    assert all(costs <= 40 and proxies <= 16 for costs, proxies in numbers), numbers
    # What was computed for an earlier ask isn't computed again.
    assert numbers[0][0] > 16
    assert max(proxies for _, proxies in numbers) > 8
    assert len({str(t.params) for t in study.trials}) == len(study.trials)


def test_both_numbers_are_settings():
    numbers, _ = asked(n_checked=12, n_proxies=3)
    assert all(costs <= 12 and proxies <= 3 for costs, proxies in numbers), numbers


@pytest.mark.parametrize("without", [["costs"], ["proxies"], ["costs", "proxies"]])
def test_it_works_with_what_it_is_told(without):
    """Without costs there is nothing to choose by between decisions and proxies."""
    numbers, study = asked(trials=9, without=without, n_checked=12, n_proxies=3)
    assert all(costs <= 12 and proxies <= 12 for costs, proxies in numbers), numbers
    if without == ["costs"]:
        assert max(proxies for _, proxies in numbers) > 3
    assert len({str(t.params) for t in study.trials}) == 9


def test_a_network_without_proxies_makes_room_for_the_next():
    """One whose proxies raise an error isn't chosen, and another is looked at in its place."""

    def proxies(params):
        if params["width"] % 2:
            raise ValueError("odd")
        return {"area": params["width"]}

    sampler = optnas.PredictorSampler(objective, proxies=proxies, seed=0, n_proxies=4)
    study = optuna.create_study(directions=["minimize"] * 3, sampler=sampler)
    study.optimize(objective, n_trials=14)
    assert all(t.params["width"] % 2 == 0 for t in study.trials[STARTUP:])
