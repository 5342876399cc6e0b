"""A score that a script prints as null, or a function returns as None: a training that diverged."""

import json
import math

import pytest
from optuna.study import create_study

from optnas.errors import CandidateError, CommandError, InputError
from optnas.evaluators import FunctionEvaluator
from optnas.evaluators.command.patterns import NumberPattern
from optnas.evaluators.evaluation import promised
from optnas.objective.objective import Objective
from optnas.study.attributes import FAILURE

JSON = json.dumps({"accuracy": None, "loss": math.nan, "epoch": 3})


@pytest.mark.parametrize("group", [r"([\d.]+)", r"([^,}]+)", r"(\w+)"])
@pytest.mark.parametrize("line", [JSON, "'accuracy': None}", '"accuracy": null'])
def test_null_is_nan(line, group):
    ((_, number),) = NumberPattern("accuracy", rf"['\"]accuracy['\"]: {group}").find(line)
    assert math.isnan(number)


def test_a_word_with_null_in_it_is_no_number():
    pattern = NumberPattern("loss", r"loss (\S+)")
    for line in ("loss nullable", "loss Nonesuch", "loss notnull", "loss NULLS"):
        with pytest.raises(CommandError, match="which is no number"):
            list(pattern.find(line))
    assert [n for _, n in NumberPattern("loss", r"loss.*?([\d.]+)").find("loss annull 0.5")] == [
        0.5
    ]


@pytest.mark.parametrize("order", [("accuracy", "loss"), ("loss", "accuracy")])
def test_nan_is_told_before_what_is_missing_next_to_it(order):
    evaluator = FunctionEvaluator(lambda *_: {}, dict.fromkeys(order, "minimize"))
    with pytest.raises(CandidateError, match="loss is nan"):
        list(promised(evaluator, {"accuracy": None, "loss": math.nan}))
    with pytest.raises(CandidateError, match="loss is nan"):
        list(promised(evaluator, {"loss": math.nan}))
    with pytest.raises(InputError, match="accuracy must be a number, got None"):
        list(promised(evaluator, {"accuracy": None, "loss": 0.5}))


def test_a_function_that_has_diverged_fails_its_trial_alone(space):
    evaluator = FunctionEvaluator(
        lambda model, recipe, report: {"accuracy": None, "loss": math.inf},
        {"accuracy": "maximize", "loss": "minimize"},
    )
    study = create_study(directions=["maximize"])
    study.optimize(Objective(space, evaluator, ("accuracy",)), n_trials=1)
    assert study.trials[0].user_attrs[FAILURE] == "loss is inf"
