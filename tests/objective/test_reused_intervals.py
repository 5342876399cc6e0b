"""A number that is reused keeps how it was measured."""

import optuna
import pytest

import optnas
from optnas.evaluators import FunctionEvaluator
from optnas.metrics import Metric
from optnas.objective.duplicates import Evaluated
from optnas.pareto.noise import interval
from optnas.report.measurements import _remarks
from optnas.study.attributes import ARCHITECTURE, DETAIL, DUPLICATE_OF

SMALL = {"width": 1, "deep": False}


class Timed(Metric):
    """Takes 1 ms, then 2 ms, ..., with an interval around it."""

    name = "latency_ms"
    exact = False

    def __init__(self):
        self.calls = 0

    def measure(self, candidate):
        self.calls += 1
        candidate.details["latency_ms"] = {"interval": [self.calls - 0.25, self.calls + 0.25]}
        return float(self.calls)


@pytest.fixture
def study(space):
    evaluator = FunctionEvaluator(
        lambda model, recipe, report: {"loss": float(recipe)},
        {"loss": "minimize"},
        lambda trial: trial.suggest_int("rate", 1, 9),
    )
    objective = optnas.Objective(space, evaluator, ("loss", "latency_ms"), metrics=[Timed()])
    study = optuna.create_study(
        directions=objective.directions, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    for rate in (1, 2, 1, 3):
        study.enqueue_trial(SMALL | {"rate": rate})
    study.optimize(objective, n_trials=4)
    return study


def test_a_reused_latency_keeps_its_interval(study):
    assert [t.values[1] for t in study.trials] == [1.0] * 4
    assert [t.user_attrs.get(DUPLICATE_OF) for t in study.trials] == [None, None, 0, None]
    assert [interval(t, "latency_ms") for t in study.trials] == [(0.75, 1.25)] * 4


def test_the_report_counts_a_measured_network_once(study):
    assert _remarks("latency_ms", study.trials) == [
        "95 % interval: ± 25.0% (median of 1 network), ± 25.0% at worst"
    ]


def test_the_details_are_those_of_the_number_that_is_reused():
    study = optuna.create_study()
    detail, other = {"interval": [1.0, 3.0]}, {"interval": [4.0, 5.0]}
    for attrs in (
        {"latency_ms": 2.0},  # an older version lost it
        {"latency_ms": 4.5, f"{DETAIL}latency_ms": other},
        {"latency_ms": 2.0, f"{DETAIL}latency_ms": detail},
        {"macs": 7, f"{DETAIL}macs": {"macs_thop": 8}, f"{DETAIL}weights": "kept"},
    ):
        study.add_trial(
            optuna.trial.create_trial(value=1.0, user_attrs={ARCHITECTURE: "A"} | attrs)
        )
    evaluated = Evaluated()
    evaluated.find(study, study.trials, "A", "")
    names = ["latency_ms", "macs", "params"]
    assert evaluated.measured("A", names) == {"latency_ms": 2.0, "macs": 7}
    assert evaluated.details("A", names) == {"latency_ms": detail}  # that of MACs is long
    assert evaluated.details("B", names) == {}
