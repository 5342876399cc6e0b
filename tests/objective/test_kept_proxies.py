"""Proxies that trials keep, so that a process doesn't compute what another one did."""

import math
from dataclasses import replace

import optuna
import pytest
import torch
from networks import build_linear

import optnas
from optnas.objective import preview
from optnas.search_spaces import FunctionSpace
from optnas.study.attributes import PROXIES

NAMES = {"synflow", "live_params", "naswot", "grad_norm"}


@pytest.fixture
def computed(monkeypatch):
    """The architectures whose proxies are computed."""
    names, zero_cost = [], preview.zero_cost

    def noted(candidate):
        names.append(str(candidate))
        return zero_cost(candidate)

    monkeypatch.setattr(preview, "zero_cost", noted)
    return names


@pytest.fixture
def search(evaluator, tmp_path):
    return optnas.Search(
        space=FunctionSpace(build_linear, torch.zeros(1, 2)),
        evaluator=evaluator,
        objectives=("loss", "params"),
        trials=7,
        storage=f"sqlite:///{tmp_path}/study.db",
        seed=3,
    )


def test_a_resumed_study_computes_no_proxies_that_its_trials_keep(search, computed):
    study = search.run(progress=False)
    kept = [trial.user_attrs[PROXIES] for trial in study.trials]
    assert all(set(found) == NAMES for found in kept)
    tried = {trial.user_attrs["architecture"] for trial in study.trials}
    computed.clear()
    replace(search, trials=8).run(progress=False)
    assert computed
    assert not tried & set(computed)


def test_what_is_proposed_is_the_same_as_in_one_go(search, tmp_path):
    search.run(progress=False)
    resumed = replace(search, trials=9).run(progress=False)
    whole = replace(search, trials=9, storage=f"sqlite:///{tmp_path}/whole.db").run(progress=False)
    assert [t.params for t in resumed.trials] == [t.params for t in whole.trials]


def test_no_other_sampler_computes_or_keeps_any(search, computed):
    study = replace(search, sampler="evolution").run(progress=False)
    assert not computed
    assert not any(PROXIES in trial.user_attrs for trial in study.trials)


@pytest.mark.parametrize(
    "stored",
    [
        3,
        {"synflow": 1.0},
        dict.fromkeys(NAMES, "1"),
        dict.fromkeys(NAMES, True),
        dict.fromkeys(NAMES, 1.0) | {"other": 1.0},
    ],
)
def test_what_is_no_such_table_is_computed_again(search, computed, stored):
    objective = search.objective()
    study = optuna.create_study(directions=objective.directions)
    trial = study.ask()
    name = objective.suggest(trial)[0]
    trial.set_user_attr("architecture", name)
    trial.set_user_attr(PROXIES, stored)
    study.tell(trial, (1.0, 1.0))
    study.optimize(objective, n_trials=1)
    found = objective.preview(trial.params).proxies
    assert computed == [name]
    assert set(found) == NAMES


def test_a_proxy_that_a_network_lacks_is_kept_as_none(search, monkeypatch):
    monkeypatch.setattr(preview, "zero_cost", lambda _: dict.fromkeys(NAMES, math.nan))
    study = search.run(progress=False)
    assert study.trials[-1].user_attrs[PROXIES] == dict.fromkeys(NAMES)
    objective = search.objective()
    study.optimize(objective, n_trials=1)
    monkeypatch.setattr(preview, "zero_cost", None)
    found = objective.preview(study.trials[0].params).proxies
    assert all(map(math.isnan, found.values()))
