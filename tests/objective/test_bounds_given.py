"""A bound that no network, or each one, keeps is refused where it is given."""

import optuna
import pytest
import torch
from networks import build_linear

import optnas
from optnas.errors import InputError
from optnas.metrics import standard_metrics
from optnas.metrics.zero_cost import PROXIES

SPACE = optnas.FunctionSpace(build_linear, torch.zeros(1, 2))
COUNTED = [metric.name for metric in standard_metrics() if metric.name not in PROXIES]
SIGNED = optnas.FunctionMetric("signed", lambda candidate: -1.0)


def objective(**constraints):
    given = {"score": "maximize"}
    return optnas.Objective(
        SPACE, lambda *_: 0.0, given, constraints=constraints, metrics=[SIGNED], device="cpu"
    )


@pytest.mark.parametrize("name", COUNTED)
def test_a_negative_bound_on_a_time_or_a_count_is_refused(name):
    with pytest.raises(InputError, match=f"bound on {name} is -1, and {name} is never below 0"):
        objective(**{name: -1})


@pytest.mark.parametrize("name", ["signed", *PROXIES])
def test_what_may_be_negative_has_negative_bounds(name):
    assert objective(**{name: -1}).constraints == {name: -1}
    assert objective(params=0).constraints == {"params": 0}


def test_limits_in_plain_optuna_are_checked_too():
    trial = optuna.create_study().ask()
    with pytest.raises(InputError, match="bound on flops is -5, and flops is never below 0"):
        optnas.measure_and_constrain(trial, torch.nn.Linear(2, 1), torch.zeros(1, 2), {"flops": -5})
