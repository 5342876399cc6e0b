"""Details are stored with the numbers that they belong to, so that a killed process loses none."""

import optuna
import pytest

import optnas
from optnas.evaluators import FunctionEvaluator
from optnas.metrics import Metric
from optnas.study.attributes import DETAIL

INTERVAL = {"interval": [0.5, 1.5]}


class Timed(Metric):
    """Takes 1 ms, with an interval around it; its check adds a fact."""

    name = "latency_ms"
    exact = False

    def measure(self, candidate):
        candidate.details["latency_ms"] = dict(INTERVAL)
        return 1.0

    def check(self, candidate):
        candidate.details["latency_ms"]["checked"] = True


@pytest.mark.parametrize("url", [None, "sqlite:///study.db"])
def test_a_running_trial_has_the_details_of_its_numbers(space, url, monkeypatch):
    seen, written = [], []

    def train(model, recipe, report):
        seen.append(study.get_trials()[-1].user_attrs)
        return {"loss": 0.5}

    objective = optnas.Objective(
        space,
        FunctionEvaluator(train, {"loss": "minimize"}),
        ("loss", "latency_ms"),
        metrics=[Timed()],
    )
    study = optuna.create_study(directions=objective.directions, storage=url)
    set_user_attr = optuna.Trial.set_user_attr

    def counted(trial, name, value):
        written.append((name, str(value)))
        set_user_attr(trial, name, value)

    monkeypatch.setattr(optuna.Trial, "set_user_attr", counted)
    study.optimize(objective, n_trials=1)
    assert seen[0]["latency_ms"] == 1.0
    assert seen[0][f"{DETAIL}latency_ms"].items() >= INTERVAL.items()
    assert study.trials[0].user_attrs[f"{DETAIL}latency_ms"] == INTERVAL | {"checked": True}
    assert sorted(written) == sorted(set(written))  # nothing twice


def test_the_details_of_a_trial_that_breaks_a_bound_are_stored(space):
    evaluator = FunctionEvaluator(lambda model, recipe, report: {"loss": 0.5}, {"loss": "minimize"})
    objective = optnas.Objective(
        space, evaluator, ("loss",), metrics=[Timed()], constraints={"latency_ms": 0.5}
    )
    study = optuna.create_study(directions=objective.directions)
    study.optimize(objective, n_trials=1)
    assert study.trials[0].user_attrs[f"{DETAIL}latency_ms"] == INTERVAL
