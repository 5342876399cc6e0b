"""A person's training function: what it may return, and the final training that it may have."""

import functools

import numpy as np
import pytest
import torch
from torch import nn

import optnas
from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.evaluators import FunctionEvaluator, Report
from optnas.evaluators.abilities import data_of, retraining_of, why_no_retraining
from optnas.search_spaces import MLPSpace
from optnas.testing import EvaluatorContract

ONE = {"val_loss": "minimize"}
TWO = {"val_loss": "minimize", "f1": "maximize"}


def evaluated(evaluator, final=False):
    report = Report(final=final)
    candidate = Candidate("linear", torch.zeros(1, 4), lambda: nn.Linear(4, 1), seed=3)
    return dict(evaluator.evaluate(candidate, "", report))


def retrained(train, provides=TWO):
    evaluator = FunctionEvaluator(lambda m, r, p: 0.0, provides, retrain=train)
    return evaluated(retraining_of(evaluator), final=True)


class TestFinalTraining(EvaluatorContract):
    evaluator = FunctionEvaluator(
        lambda *_: 0.0,
        TWO,
        lambda trial: {"rate": trial.suggest_float("rate", 0, 1)},
        retrain=lambda m, recipe, p: {"test_loss": recipe["rate"], "test_f1": float(torch.rand(1))},
    ).retraining()
    space = MLPSpace((4,), 3)


@pytest.mark.parametrize(
    ("returned", "scores"),
    [
        ({"val_loss": 2, "more": 3}, {"val_loss": 2, "more": 3}),
        (0.5, {"val_loss": 0.5}),
        (np.float32(0.5), {"val_loss": 0.5}),
        (torch.tensor([0.5]), {"val_loss": 0.5}),
    ],
)
def test_a_function_returns_its_scores_or_the_only_one(returned, scores):
    assert evaluated(FunctionEvaluator(lambda m, r, p: returned, ONE)) == scores


def test_without_a_return_the_last_report_counts():
    def fit(model, recipe, report):
        for epoch in range(3):
            report(epoch, {"val_loss": 3 - epoch, "f1": epoch})

    assert evaluated(FunctionEvaluator(fit, TWO)) == {"val_loss": 1.0, "f1": 2.0}
    assert evaluated(FunctionEvaluator(fit, TWO, retrain=max)) == {"val_loss": 1.0, "f1": 2.0}


@pytest.mark.parametrize("returned", [0.5, (0.5, 1.0), "0.5", torch.zeros(2)])
def test_anything_else_is_refused(returned):
    with pytest.raises(InputError, match=r"must return a dictionary of scores \(val_loss, f1\), "):
        evaluated(FunctionEvaluator(lambda m, r, p: returned, TWO))


def test_neither_scores_nor_reports_are_refused():
    with pytest.raises(InputError, match="returned nothing and reported nothing: return a dict"):
        evaluated(FunctionEvaluator(lambda m, r, p: None, ONE))
    with pytest.raises(InputError, match=r"must return a dictionary of scores .*, got True"):
        evaluated(FunctionEvaluator(lambda m, r, p: True, ONE))


def test_report_final_tells_one_function_which_training_it_is():
    seen = []

    def fit(model, recipe, report):
        seen.append(report.final)
        return {"val_loss": 1.0, "f1": 2.0}

    evaluator = FunctionEvaluator(fit, TWO, retrain=fit)
    assert evaluated(evaluator) == {"val_loss": 1.0, "f1": 2.0}
    final = retraining_of(evaluator)
    assert evaluated(final, final=True) == {"test_loss": 1.0, "test_f1": 2.0}
    assert seen == [False, True]
    assert final.provides == {"test_loss": "minimize", "test_f1": "maximize"}


def test_scores_on_the_test_part_may_have_their_own_names():
    both = {"val_loss": 1.0, "test_loss": 2.0, "test_calibration": 3.0, "train_loss": 4.0}
    assert retrained(lambda m, r, p: both) == {"test_loss": 2.0, "test_calibration": 3.0}


def test_a_number_or_a_report_counts_in_the_final_training_too():
    def reports(model, recipe, report):
        assert report.final
        report(0, {"val_loss": 0.25})

    assert retrained(reports, ONE) == {"test_loss": 0.25}
    assert retrained(lambda m, r, p: 0.5 if p.final else 0.1, ONE) == {"test_loss": 0.5}


@pytest.mark.parametrize("scores", [{"val_loss": 1.0}, {"test_loss": 1.0, "f1": 0.5}])
def test_scores_of_the_search_are_no_test_scores_unless_the_function_knows(scores):
    with pytest.raises(InputError, match=r"without a look at `report\.final`: return test_"):
        retrained(lambda m, r, p: scores)


def test_the_final_training_is_another_one_if_its_code_is():
    def final(seeds):
        return lambda m, r, p: {"test_loss": seeds}

    one, two = (FunctionEvaluator(max, ONE, retrain=final(n)) for n in (1, 2))
    assert one.fingerprint == two.fingerprint == FunctionEvaluator(max, ONE).fingerprint
    assert retraining_of(one).fingerprint != retraining_of(two).fingerprint
    again = FunctionEvaluator(max, ONE, retrain=final(1))
    assert retraining_of(one).fingerprint == retraining_of(again).fingerprint
    assert retraining_of(one).fingerprint.items() > one.fingerprint.items()


def test_a_partial_and_a_method_will_do():
    class Script:
        def fit(self, model, recipe, report, part="val"):
            return {f"{part}_loss": 1.0}

    script = Script()
    assert retrained(functools.partial(script.fit, part="test")) == {"test_loss": 1.0}


class Mine(FunctionEvaluator):
    def __init__(self, final):
        super().__init__(lambda m, r, p: 1.0, ONE)
        self._own = final

    def retraining(self, epochs=None):
        return self._own


def test_a_subclass_with_its_own_retraining_needs_nothing_else():
    final = FunctionEvaluator(lambda m, r, p: {"test_loss": 2.0}, {"test_loss": "minimize"})
    assert retraining_of(Mine(final), 3) is final
    assert (data_of(Mine(final)), why_no_retraining(Mine(final))) == (None, "")
    with pytest.raises(InputError, match="provides val_loss: it must score the network on the t"):
        retraining_of(Mine(FunctionEvaluator(max, ONE)))
    with pytest.raises(InputError, match=r"must return an evaluator.*it returned NoneType"):
        retraining_of(Mine(None))


def test_a_retraining_that_knows_no_epochs_is_called_without():
    class Fixed(FunctionEvaluator):
        def retraining(self):
            return FunctionEvaluator(max, {"test_loss": "minimize"})

    assert retraining_of(Fixed(max, ONE)).provides == {"test_loss": "minimize"}


def test_what_is_missing_is_said():
    plain = FunctionEvaluator(max, ONE)
    with pytest.raises(InputError, match=r"no retraining.*FunctionEvaluator\(…, retrain=train\)"):
        retraining_of(plain)
    assert "retrain=train" in why_no_retraining(plain)
    with pytest.raises(InputError, match="epochs=9: a FunctionEvaluator decides on its epochs"):
        retraining_of(FunctionEvaluator(max, ONE, retrain=max), 9)
    for wrong in ("fit", "", {}):
        with pytest.raises(TypeError, match="retrain must be a function of model, recipe and re"):
            FunctionEvaluator(max, ONE, retrain=wrong)
    loaders = optnas.Loaders([0], [0], "regression", "mine")
    assert "train_val=" in why_no_retraining(optnas.TrainingEvaluator(loaders))


@functools.wraps(lambda model: 0.0)
def wrapper(model, recipe, report):
    return 0.0


def one(model):
    return 0.0


def four(model, recipe, report, epochs):
    return 0.0


def by_name(*, model, recipe, report):
    return 0.0


class Fit:
    def __call__(self, model, recipe, report, more=1):
        return 0.0


@pytest.mark.parametrize(
    ("function", "given"), [(one, "one(model)"), (four, "four(model, recipe, report, epochs)")]
)
def test_a_function_of_another_form_is_refused_where_it_is_given(function, given):
    name = given.split("(")[0]
    for arguments in ({"fn": function}, {"fn": wrapper, "retrain": function}):
        with pytest.raises(InputError) as error:
            FunctionEvaluator(provides=ONE, **arguments)
        assert f"must be {name}(model, recipe, report), got {given}: let it" in str(error.value)
    with pytest.raises(InputError, match="must be by_name"):
        FunctionEvaluator(by_name, ONE)


@pytest.mark.parametrize("function", [wrapper, Fit(), functools.partial(four, epochs=3), max])
def test_what_can_be_called_with_three_arguments_is_a_training_function(function):
    FunctionEvaluator(function, ONE)
