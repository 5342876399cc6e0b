"""What is known of an architecture before training: exact, lazy, computed once."""

import gc
import sys
import threading
import weakref

import optuna
import pytest
import torch
from networks import build_linear
from optuna.trial import FixedTrial, TrialState
from torch import nn

import optnas
from optnas.metrics import FunctionMetric
from optnas.objective import preview
from optnas.search_spaces import FunctionSpace, ModelSpace

LARGE = {"width": 3, "deep": True, "activation": "relu"}


def test_values_are_exact_and_computed_once_for_an_architecture(evaluator):
    builds = []

    def build(trial):
        builds.append(1)
        return build_linear(trial)

    space = FunctionSpace(build, torch.zeros(1, 2))
    objective = optnas.Objective(space, evaluator, ("loss", "flops", "latency_ms", "params"))
    assert objective.preview(LARGE).values == {1: 36.0, 3: 25.0}
    built = len(builds)
    found = objective.preview(LARGE | {"recipe.rate": 3})
    assert found.values == {1: 36.0, 3: 25.0}
    assert len(builds) == built + 1  # FunctionSpace builds while it suggests
    assert found.values is found.values
    assert len(builds) == built + 1


def test_what_drafted_networks_print_is_dropped(evaluator, capsys):
    """A hundred are drafted for each trial, and each may tell its number of parameters."""

    def build(trial):
        print("params")
        sys.stdout.buffer.write(b"params\n")
        return build_linear(trial)

    space = FunctionSpace(build, torch.zeros(1, 2))
    search = optnas.Search(
        space=space, evaluator=evaluator, objectives=("loss", "params"), trials=3, name="loud"
    )
    search.run(progress=False)
    assert capsys.readouterr().out.count("params") == 2 * 3

    def draft():
        search.objective().suggest(FixedTrial(LARGE | {"rate": 1.0}))

    thread = threading.Thread(target=draft)  # in one of several, standard output stays
    thread.start()
    thread.join()
    assert capsys.readouterr().out.count("params") == 2


def test_parts_that_are_not_read_are_not_computed(space, evaluator, monkeypatch):
    computed = []

    def counting(name):
        def measure(candidate):
            computed.append(name)
            return 1.0

        return FunctionMetric(name, measure, exact=True)

    monkeypatch.setattr(preview, "zero_cost", lambda _: computed.append("proxies") or {"p": 1.0})
    objective = optnas.Objective(
        space,
        evaluator,
        ("loss", "counted"),
        metrics=[counting("counted"), counting("bounded"), counting("shown")],
        constraints={"bounded": 3.0},
    )
    found = objective.preview(LARGE)
    assert computed == []
    assert found.values == {1: 1.0}
    assert computed == ["counted"]
    assert found.proxies == {"p": 1.0}
    assert found.constraints == {"bounded": -2.0}
    assert objective.preview(LARGE) == found
    assert objective.preview(LARGE).constraints == found.constraints
    assert computed == ["counted", "proxies", "bounded"]


def test_proxies_and_counts_are_the_same_whatever_is_read_first(space, evaluator):
    def parts(*names, objectives=("loss", "flops", "params")):
        found = optnas.Objective(space, evaluator, objectives).preview(LARGE)
        return {name: getattr(found, name) for name in names}

    both = parts("proxies", "values")
    assert parts("values", "proxies") == both
    assert parts("proxies", objectives=("loss",))["proxies"] == both["proxies"]


def test_constraints_are_those_of_the_trial(space, evaluator):
    """As far as they are known before training: a latency and a score aren't."""
    bounds = {"params": 10, "synflow": 50.0, "latency_ms": 1e6, "loss": 1e-9}
    objective = optnas.Objective(space, evaluator, ("loss", "params"), constraints=bounds)
    study = optuna.create_study(directions=objective.directions)
    study.enqueue_trial(LARGE)
    study.optimize(objective, n_trials=1)
    (trial,) = study.trials
    assert trial.state == TrialState.PRUNED
    found = objective.preview(LARGE).constraints
    assert set(found) == {"params", "synflow"}
    assert found["params"] == trial.constraints["params"] == 15
    assert found["synflow"] == 50.0 - optnas.ZeroCost("synflow").measure(objective.candidate(trial))


def test_previews_keep_no_networks(evaluator):
    made = []

    def build(trial):
        model = nn.Linear(1, trial.suggest_int("width", 1, 9))
        made.append(weakref.ref(model))
        return model

    objective = optnas.Objective(
        FunctionSpace(build, torch.zeros(1, 1)), evaluator, ("loss", "params")
    )
    found = [objective.preview({"width": width}) for width in (1, 2, 3)]
    assert [p.values[1] for p in found] == [2, 4, 6]
    assert all(p.constraints == {} for p in found)
    gc.collect()
    assert made
    assert [ref() for ref in made if ref() is not None] == []


def test_what_the_space_raises_is_raised_when_a_part_is_read(evaluator):
    def build(width):
        if width > 4:
            raise ValueError("too wide")
        return nn.Linear(1, width)

    space = ModelSpace(build, {"width": [2, 8]}, torch.zeros(1, 1))
    objective = optnas.Objective(space, evaluator, ("loss", "params"))
    found = objective.preview({"width": 8})
    for _ in range(2):
        with pytest.raises(optnas.CandidateError, match="too wide"):
            _ = found.values
    assert objective.preview({"width": 2}).values == {1: 4.0}


def test_a_preview_leaves_the_generators_alone(space, evaluator):
    objective = optnas.Objective(space, evaluator, ("loss", "params"))
    before = torch.get_rng_state()
    found = objective.preview(LARGE)
    assert found.proxies == optnas.Objective(space, evaluator, ("loss",)).preview(LARGE).proxies
    assert torch.equal(before, torch.get_rng_state())


def test_the_predictor_takes_a_preview_in_plain_optuna(space, evaluator):
    objective = optnas.Objective(space, evaluator, ("loss", "params"), seed=0)
    sampler = optnas.PredictorSampler(seed=0, n_startup_trials=2)
    sampler.fill_in(objective.suggest, objective.preview)
    study = optuna.create_study(directions=objective.directions, sampler=sampler)
    study.optimize(objective, n_trials=4)
    assert len({t.user_attrs["architecture"] for t in study.trials}) == 4
