"""The short forms of a search: a training function, and objectives with their directions."""

from dataclasses import replace

import optuna
import pytest
import torch
from torch import nn

import optnas
from optnas.errors import InputError

SPACE = optnas.ModelSpace(lambda width: nn.Linear(4, width), {"width": [1, 2]}, torch.zeros(1, 4))
GIVEN = {"val_loss": "minimize", "flops": "minimize", "acc": "maximize", "throughput": "maximize"}
DEPTH = optnas.FunctionMetric("depth", lambda candidate: 1, "maximize", exact=True)


def fit(model, recipe, report):
    return {"val_loss": model.out_features, "acc": 0.5}


def search_of(evaluator, objectives, **kwargs):
    return optnas.Search(space=SPACE, evaluator=evaluator, objectives=objectives, **kwargs)


def test_a_function_provides_the_objectives_that_are_no_metrics():
    short = search_of(fit, GIVEN | {"depth": "maximize"}, metrics=[DEPTH])
    assert short.evaluator.provides == {"val_loss": "minimize", "acc": "maximize"}
    assert short.objectives == ("val_loss", "flops", "acc", "throughput", "depth")
    long = search_of(
        optnas.FunctionEvaluator(fit, {"val_loss": "minimize", "acc": "maximize"}),
        short.objectives,
        metrics=[DEPTH],
    )
    for search in (long, replace(short, trials=7)):
        one, other = (s.fingerprint(s.objective()) for s in (short, search))
        assert one == other


def test_a_function_is_enough_in_plain_optuna():
    given = {"params": "minimize", "val_loss": "minimize"}
    objective = optnas.Objective(
        SPACE, lambda m, r, p: 0.5, given, metrics=(metric for metric in [DEPTH])
    )
    study = optuna.create_study(directions=objective.directions)
    study.optimize(objective, n_trials=1)
    assert study.trials[0].values[1] == 0.5
    assert study.trials[0].user_attrs["depth"] == 1


def test_directions_may_be_given_of_any_evaluator_and_must_agree():
    data = optnas.arrays(torch.zeros(60, 4).numpy(), (torch.arange(60) % 2).numpy())
    training = optnas.TrainingEvaluator(data)
    right = {"val_accuracy": "maximize", "params": "minimize"}
    assert search_of(training, right).objectives == ("val_accuracy", "params")
    for evaluator, wrong in ((training, "val_accuracy"), (training, "params"), (fit, "params")):
        given = {"val_loss": "minimize"} | right | {wrong: "minimize"}
        if wrong == "params":
            given = {"val_loss": "minimize", "params": "maximize"}
        with pytest.raises(InputError, match=f"the direction of {wrong} is m"):
            search_of(evaluator, given)
    with pytest.raises(ValueError, match="direction of 'acc' must be minimize or maximize"):
        search_of(fit, {"acc": "up"})


@pytest.mark.parametrize(
    ("evaluator", "objectives", "message"),
    [
        (
            fit,
            ("val_loss", "params"),
            "each objective has its direction; got the function fit .*"
            'give objectives={"val_loss": "minimize", "params": "minimize"}',
        ),
        (fit, ("val_acc", "throughput"), '{"val_acc": "minimize", "throughput": "maximize"}'),
        (fit, {"params": "minimize"}, r"objectives \(params\) are metrics alone"),
        (fit, {"acc": "maximize", "latencyms": "minimize"}, "did you mean 'latency_ms'"),
        (fit, {"acc": "maximize", "Flops": "minimize"}, "did you mean 'flops'"),
        (fit, {}, "objectives is empty: name at least one"),
        (optnas.TrainingEvaluator, GIVEN, "evaluator must be an Evaluator, got ABCMeta"),
        (nn.Linear(1, 1), GIVEN, "evaluator must be an Evaluator, got Linear"),
        (optnas.FunctionEvaluator(fit, {"a": "minimize"}), GIVEN, "unknown objective"),
    ],
)
def test_what_cannot_be_meant_is_refused(evaluator, objectives, message):
    with pytest.raises((TypeError, ValueError), match=message):
        search_of(evaluator, objectives)
