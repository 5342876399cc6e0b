"""Failures for one reason are recognised."""

from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import TrialState

from optnas.errors import InputError
from optnas.objective.bounds import Bounds
from optnas.runs.failing import check_success, kind_of_failure
from optnas.study.attributes import FAILURE, PRUNED


def kind(reason):
    return kind_of_failure(optuna.create_trial(state=TrialState.FAIL, user_attrs={FAILURE: reason}))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("out of memory: tried to allocate 20.00 MiB", "out of memory: tried to allocate 2.5 GiB"),
        ("allocate 400000 bytes.", "allocate 1 byte."),
        ("<Net object at 0x7f3a2b11>", "<Net object at 0x55aa01fe>"),
        ("the loss is 1e-05", "the loss is 0.5"),
        ("the loss is -3.5e+10", "the loss is inf"),
        ("the loss is nan", "the loss is 4"),
        ("shape [1, 3, 32, 32] is wrong", "shape [16, 64] is wrong"),
        ("no file /tmp/tmpab3_x1q9/data", "no file /tmp/tmpz8k2m1ab/data"),
    ],
)
def test_failures_that_differ_in_numbers_alone_have_one_reason(first, second):
    assert kind(first) == kind(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("KeyError: 'inform'", "KeyError: 'nano'"),
        ("out of memory: 3 GiB", "out of disk: 3 GiB"),
        ("ValueError: a", "TypeError: a"),
    ],
)
def test_other_words_are_another_reason(first, second):
    assert kind(first) != kind(second)


def test_a_trial_that_did_not_fail_has_no_reason():
    assert kind_of_failure(optuna.create_trial(state=TrialState.PRUNED)) is None


@pytest.mark.parametrize(
    ("value", "bound", "said"),
    [
        (0.318, 0.3, r"bound on size, 0\.3, .* nearest was 0\.318, which is off by 0\.018\. "),
        (5, 0.001, r"bound on size, 0\.001, .* was 5, .* by 4\.999 \(5,000 times the bound\)\."),
        (5, 0, r"bound on size, 0, .* nearest was 5, which is off by 5\."),
    ],
)
def test_a_bound_that_nothing_keeps_is_named_with_what_came_nearest(value, bound, said):
    study = optuna.create_study()
    bounds = Bounds({"size": bound}, {"size": "minimize"})
    for more in (0, 1):
        trial = study.ask()
        bounds.store(trial, "size", value + more)
        trial.set_user_attr("size", value + more)
        trial.set_user_attr(PRUNED, bounds.broken("size", value + more))
        study.tell(trial, state=TrialState.PRUNED)
    tally = SimpleNamespace(unsuccessful=study.trials * 60, counted=0, ended=[])
    with pytest.raises(InputError, match=said):
        check_success(study, tally, 1, 3)
