"""Each baseline is trained once, however many runs begin a study together."""

import optuna
import pytest
from optuna.trial import TrialState
from others import dead_lease

from optnas.runs.loop import queue_baselines, run_trials
from optnas.runs.take import take_trial
from optnas.runs.tally import Tally
from optnas.study.attributes import BASELINE, FAILURE, RETRY_OF, SURPLUS
from optnas.study.leases import lease

BASELINES = {"a": {}, "b": {}}


def begun_together(monkeypatch):
    """A study whose baselines two runs have queued: neither saw those of the other one."""
    study = optuna.create_study()
    queue_baselines(study, BASELINES)
    with monkeypatch.context() as patch:
        patch.setattr(study, "get_trials", lambda **_: [])
        queue_baselines(study, BASELINES)
    assert [t.user_attrs[BASELINE] for t in study.trials] == ["a", "b", "a", "b"]
    return study


def value(trial):
    return [trial.suggest_float("x", 0, 1)]


def test_a_baseline_that_two_runs_have_queued_is_trained_once(monkeypatch):
    study = begun_together(monkeypatch)
    run_trials(study, value, trials=4, baselines=BASELINES)
    complete = [t for t in study.trials if t.state == TrialState.COMPLETE]
    assert [t.user_attrs.get(BASELINE) for t in complete] == ["a", "b", None, None]
    assert [t.user_attrs.get(SURPLUS) for t in study.trials[2:4]] == [
        "trial 0 is the baseline 'a' already",
        "trial 1 is the baseline 'b' already",
    ]
    assert all(t.params == {} for t in study.trials[2:4])


def test_a_double_does_not_wait_where_no_trial_is_left_to_run(monkeypatch):
    study = begun_together(monkeypatch)
    run_trials(study, value, trials=2, baselines=BASELINES)
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.COMPLETE] * 2 + [TrialState.FAIL] * 2
    assert all(SURPLUS in trial.user_attrs for trial in study.trials[2:])
    assert all(trial.datetime_start for trial in study.trials)


def test_a_baseline_that_has_failed_is_not_trained_again(monkeypatch):
    """As in a run that begins later."""
    study = begun_together(monkeypatch)
    study.tell(study.ask(), state=TrialState.FAIL)
    run_trials(study, value, trials=2, baselines=BASELINES)
    complete = [t for t in study.trials if t.state == TrialState.COMPLETE]
    assert [t.user_attrs.get(BASELINE) for t in complete] == ["b", None]


def test_a_lost_baseline_is_repeated_and_its_double_is_not(monkeypatch):
    """Two workers are killed: one with the first trial of a baseline, one with the second."""
    study = begun_together(monkeypatch)
    for worker in "wxyz":
        waiting = study.get_trials(states=(TrialState.WAITING,))
        take_trial(study, dead_lease() | {"worker": worker}, waiting)
    run_trials(study, value, trials=3, baselines=BASELINES)
    retries = {
        t.user_attrs[RETRY_OF]: t.user_attrs.get(SURPLUS)
        for t in study.trials
        if RETRY_OF in t.user_attrs
    }
    assert retries[0] is retries[1] is None
    complete = [t for t in study.trials if t.state == TrialState.COMPLETE]
    assert [t.user_attrs.get(BASELINE) for t in complete] == ["a", "b", None]
    assert all(retries.get(number, True) for number in (2, 3))


@pytest.mark.parametrize("known", [True, False])
def test_a_double_that_was_queued_since_the_last_look_is_not_trained(monkeypatch, known):
    """Where Optuna's own way is taken, it may hand out such a trial."""
    study = optuna.create_study()
    queue_baselines(study, {"a": {}})
    tally = Tally(study, lease() | {"worker": "w"}, 10)
    study.tell(take_trial(study, lease(), tally.waiting), 1.0)
    tally.read()
    with monkeypatch.context() as patch:
        patch.setattr(study, "get_trials", lambda **_: [])
        queue_baselines(study, {"a": {}})
    if known:
        tally.read()
    else:
        monkeypatch.setattr("optnas.storage.guard.Private.is_known", lambda _: False)
    renewal = type("Renewal", (), {})()
    with tally.taken(renewal) as trial:
        assert trial is None
    assert study.trials[1].user_attrs[SURPLUS] == "trial 0 is the baseline 'a' already"
    assert FAILURE not in study.trials[1].user_attrs
