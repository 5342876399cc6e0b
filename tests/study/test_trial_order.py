"""The order in which trials ended, which no clock decides."""

import datetime

import optuna
import pytest
from optuna.trial import create_trial

from optnas.samplers import make_sampler
from optnas.study.trial_order import PRECEDES, in_order_of_completion


def order(study):
    return [t.number for t in in_order_of_completion(study.get_trials(deepcopy=False))]


@pytest.mark.parametrize("sampler", ["evolution", "random"])
def test_trials_are_in_the_order_in_which_workers_ended_them(sampler):
    study = optuna.create_study(sampler=make_sampler(sampler, 1))
    running = {n: study.ask() for n in range(4)}
    ended = []
    for number in (3, 1, None, 4, 0, None, None, 6, 2, 5):
        if number is None:
            running[len(running)] = study.ask()
            continue
        study.tell(running[number], 0.0)
        ended.append(number)
    assert order(study) == ended


def test_one_worker_writes_nothing_more():
    study = optuna.create_study(sampler=make_sampler("evolution", 1))
    study.enqueue_trial({"x": 0.5})
    study.enqueue_trial({"x": 0.25})
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=4)
    assert order(study) == [0, 1, 2, 3]
    assert not any(PRECEDES in t.system_attrs for t in study.trials)


def test_a_clock_that_is_set_back_changes_no_order():
    study = optuna.create_study()
    for number in range(5):
        trial = create_trial(value=0.0)
        trial.datetime_complete = datetime.datetime(2026, 10, 25, 2) - datetime.timedelta(
            hours=number
        )
        study.add_trial(trial)
    assert order(study) == list(range(5))


@pytest.mark.parametrize("kept", ["2", -1, True, None, 1.5])
def test_what_other_code_wrote_is_no_order(kept):
    study = optuna.create_study()
    study.add_trial(create_trial(value=0.0, system_attrs={PRECEDES: kept}))
    study.add_trial(create_trial(value=0.0))
    assert order(study) == [0, 1]
