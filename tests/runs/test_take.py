"""Workers take trials: one of several gets each, and a worker may be killed at any moment."""

import optuna
import pytest
from optuna.trial import TrialState
from others import dead_lease

from optnas.runs.recovery import give_up_all
from optnas.runs.take import take_trial
from optnas.runs.tally import Tally
from optnas.storage.open import close_storage, open_storage
from optnas.study.attributes import LEASE, LOST
from optnas.study.leases import CLAIM, is_alive, lease


def waiting(study):
    return study.get_trials(states=(TrialState.WAITING,))


def take(study, lease):
    return take_trial(study, lease, waiting(study))


def states(study):
    return [t.state.name for t in study.trials]


class Killed(BaseException):
    """As kill -9: nothing that would tidy up may write any more."""


def killed_before_its_lease(study, own, monkeypatch):
    """A worker that has set a trial to RUNNING, and is killed before it writes anything else."""
    write = study._storage.set_trial_state_values

    def kill(*values):
        write(*values)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(study._storage, "set_trial_state_values", kill)
        with pytest.raises(Killed):
            take(study, own)


def test_a_new_trial_is_made_with_its_lease():
    study = optuna.create_study()
    own = lease() | {"worker": "a"}
    trial = take_trial(study, own, [])
    assert study.trials[0].user_attrs == {LEASE: own}
    assert study.trials[0].state == TrialState.RUNNING
    assert study.trials[0].datetime_start is not None
    trial.suggest_int("x", 0, 3)
    study.tell(trial, 1.0)


def test_waiting_trials_come_first_in_their_order():
    study = optuna.create_study()
    for x in (2, 1):
        study.enqueue_trial({"x": x})
    drawn = [take(study, lease()).suggest_int("x", 0, 3) for _ in range(2)]
    assert drawn == [2, 1]


def test_what_another_is_about_to_take_is_left_to_it():
    study = optuna.create_study()
    for x in (2, 1):
        study.enqueue_trial({"x": x})
    claim = lease() | {"worker": "another"}
    study._storage.set_trial_system_attr(study.trials[0]._trial_id, f"{CLAIM}another", claim)
    assert take(study, lease() | {"worker": "own"}).number == 1
    assert take(study, lease() | {"worker": "own"}).number == 0


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.RUNNING])
def test_a_trial_that_somebody_else_took_is_passed_over(state):
    study = optuna.create_study()
    study.enqueue_trial({"x": 2})
    stale = study._storage.get_all_trials(study._study_id, states=(TrialState.WAITING,))
    study.tell(study.ask(), 1.0) if state == TrialState.COMPLETE else study.ask()
    trial = take_trial(study, lease(), stale)
    assert trial.number == 1


@pytest.mark.parametrize("url", ["", "sqlite:///a.db", "journal:///a.journal"])
def test_a_worker_that_is_too_late_leaves_the_trial_to_the_winner(url):
    """It has read the study before the other one took the trial, and ends before that one does."""
    storage = open_storage(url, create=True) if url else optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage)
    study.enqueue_trial({"x": 2})
    winner, loser = (made | {"worker": w} for made, w in ((lease(), "a"), (dead_lease(), "b")))
    before = waiting(study)
    assert take_trial(study, winner, before).number == 0
    assert take_trial(study, loser, before).number == 1
    assert [t.user_attrs[LEASE] for t in study.trials] == [winner, loser]
    assert Tally(study).recover() == [1]
    assert states(study) == ["RUNNING", "FAIL", "WAITING"]
    close_storage(storage)


def test_a_trial_whose_worker_is_killed_before_it_writes_its_lease_is_repeated(monkeypatch):
    study = optuna.create_study()
    study.enqueue_trial({"x": 2})
    killed_before_its_lease(study, dead_lease() | {"worker": "a"}, monkeypatch)
    assert states(study) == ["RUNNING"]
    assert Tally(study).recover() == [0]
    assert study.trials[0].user_attrs[LOST] == "killed"


def test_a_trial_whose_worker_is_about_to_write_its_lease_is_alive(monkeypatch):
    study = optuna.create_study()
    study.enqueue_trial({"x": 2})
    killed_before_its_lease(study, lease() | {"worker": "a"}, monkeypatch)
    assert is_alive(study.trials[0])
    assert Tally(study).recover() == []


def test_who_was_too_late_keeps_no_trial_of_a_killed_worker(monkeypatch):
    study = optuna.create_study()
    study.enqueue_trial({"x": 2})
    before = waiting(study)
    killed_before_its_lease(study, dead_lease() | {"worker": "a"}, monkeypatch)
    assert take_trial(study, lease() | {"worker": "b"}, before).number == 1
    assert Tally(study).recover() == [0]


def test_a_trial_that_a_lost_node_has_taken_just_now_is_given_up(monkeypatch):
    study = optuna.create_study()
    study.enqueue_trial({"x": 2})
    killed_before_its_lease(study, lease() | {"host": "elsewhere", "worker": "a"}, monkeypatch)
    give_up_all(study, ["b"])
    assert states(study) == ["RUNNING"]
    give_up_all(study, ["a"])
    assert states(study) == ["FAIL"]


def test_plain_optuna_may_take_what_a_worker_has_claimed():
    study = optuna.create_study()
    study.enqueue_trial({"x": 2})
    before = waiting(study)
    assert study.ask().number == 0
    assert take_trial(study, dead_lease() | {"worker": "a"}, before).number == 1
    assert Tally(study).recover() == [1]
    assert states(study) == ["RUNNING", "FAIL", "WAITING"]
