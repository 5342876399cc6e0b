"""Dead workers: who is dead, and what becomes of their trials."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import optuna
import pytest
from common.postgres import database
from optuna.trial import TrialState, create_trial
from others import dead_lease

import optnas.study.leases
from optnas.runs.loop import run_trials
from optnas.runs.recovery import MAX_KILLS
from optnas.runs.take import take_trial
from optnas.runs.tally import Tally
from optnas.storage.open import close_storage, open_storage
from optnas.storage.place import place_of
from optnas.study.attributes import BASELINE, FAILURE, LEASE, LOST, RETRY_OF, SURPLUS, is_lost
from optnas.study.leases import Renewal, is_abandoned, is_alive, is_dead, lease


def states(study):
    return [t.state.name for t in study.trials]


def running(seconds_ago=0.0, **attrs):
    trial = create_trial(
        state=TrialState.RUNNING,
        params={"x": 1},
        distributions={"x": optuna.distributions.IntDistribution(0, 3)},
        user_attrs=attrs,
    )
    trial.datetime_start = trial.datetime_start.fromtimestamp(time.time() - seconds_ago)
    return trial


def test_the_dead_are_recovered_and_the_living_left_alone():
    study = optuna.create_study()
    study.add_trial(running(**{LEASE: dead_lease(), BASELINE: "b", "params": 3}))
    study.add_trial(running(**{LEASE: lease()}))
    study.add_trial(running(**{LEASE: lease() | {"host": "elsewhere", "pid": 1}}))
    study.add_trial(running())
    assert Tally(study).recover() == [0]
    assert states(study) == ["FAIL", "RUNNING", "RUNNING", "RUNNING", "WAITING"]
    retry = study.trials[4]
    assert study.trials[0].user_attrs[LOST] == "killed"
    assert retry.user_attrs == {RETRY_OF: 0, BASELINE: "b"}
    assert retry.system_attrs == {"fixed_params": {"x": 1}}
    assert Tally(study).recover() == []
    assert len(study.trials) == 5


def test_a_process_that_nobody_has_waited_for_yet_is_dead():
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    held = lease() | {"pid": process.pid, "started": optnas.study.leases._started(process.pid)}
    process.stdout.read()  # it has ended, and is a zombie until it is waited for
    while optnas.study.leases._started(process.pid) is not None:
        pass
    assert is_dead(held)
    process.wait()
    process.stdout.close()
    assert is_dead(held)


def test_a_reused_process_id_is_another_process():
    mine = lease()
    assert not is_dead(mine)
    assert is_dead(mine | {"started": mine["started"] - 100})
    assert is_dead(mine | {"boot": "an earlier start of the machine"})
    assert mine["pid"] == os.getpid()


def test_without_proc_the_system_is_asked(monkeypatch):
    """As on macOS and Windows."""
    monkeypatch.setattr(optnas.study.leases.platform, "system", lambda: "Darwin")
    mine = lease()
    assert not is_dead(mine)
    assert is_dead(mine | {"started": mine["started"] - 100})
    assert is_dead(dead_lease())


def test_other_machines_are_believed_to_live_while_they_renew():
    elsewhere = lease() | {"host": "elsewhere", "pid": 1}
    assert not is_dead(elsewhere)
    assert not is_dead(elsewhere | {"renewed": time.time() - 200})
    assert is_dead(elsewhere | {"renewed": time.time() - 400})
    assert is_dead({"host": "elsewhere"})  # an attribute of this name that other code wrote


def test_a_lease_is_renewed_while_its_trial_runs(monkeypatch):
    monkeypatch.setattr(optnas.study.leases, "RENEW", 0.001)
    study = optuna.create_study()
    own = lease() | {"renewed": 0.0}
    renewed = threading.Event()
    write = study._storage.set_trial_user_attr

    def set_trial_user_attr(trial_id, key, value):
        write(trial_id, key, value)
        renewed.set()

    trial = take_trial(study, own, [])
    monkeypatch.setattr(study._storage, "set_trial_user_attr", set_trial_user_attr)
    with Renewal(study._storage, own) as renewal:
        renewal.trial_id = trial._trial_id
        assert renewed.wait(30)
    assert study.trials[0].user_attrs[LEASE]["renewed"] > time.time() - 60
    study.tell(trial, 1.0)
    with Renewal(study._storage, own) as renewal:  # a trial that another process has ended
        renewal.trial_id = trial._trial_id
        renewed.clear()
        renewal._ended.wait(0.01)
    assert not renewed.is_set()


def test_plain_optunas_running_trials_are_left_alone_for_a_day():
    study = optuna.create_study()
    for seconds in (10, 3600, 90_000):
        study.add_trial(running(seconds))
    assert Tally(study).recover() == [2]
    assert [is_alive(t) for t in study.trials[:3]] == [True, False, False]


def test_a_trial_that_keeps_killing_its_process_fails():
    study = optuna.create_study()
    study.add_trial(running(**{LEASE: dead_lease()}))
    for _ in range(MAX_KILLS + 2):
        Tally(study).recover()
        if study.trials[-1].state != TrialState.WAITING:
            break
        study.ask().set_user_attr(LEASE, dead_lease())
    assert states(study) == ["FAIL"] * MAX_KILLS
    assert [is_lost(t) for t in study.trials] == [True] * (MAX_KILLS - 1) + [False]
    assert "was killed 3 times in a row" in study.trials[-1].user_attrs[FAILURE]


@pytest.mark.parametrize("reason", [FAILURE, SURPLUS, LOST])
def test_a_trial_killed_in_the_act_of_ending_keeps_its_reason(reason):
    study = optuna.create_study()
    study.add_trial(running(**{LEASE: dead_lease(), reason: "said by itself"}))
    assert Tally(study).recover() == ([0] if reason == LOST else [])
    ended = study.trials[0]
    assert ended.state == TrialState.FAIL
    assert {k: v for k, v in ended.user_attrs.items() if k != LEASE} == {reason: "said by itself"}


def test_two_workers_that_recover_at_once_repeat_a_trial_once():
    """Both have read the study before either wrote; the second retry ends itself."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.add_trial(running(**{LEASE: dead_lease()}))
    tallies = [Tally(study), Tally(study)]
    assert [tally.recover() for tally in tallies] == [[0], []]
    # A crash between two steps, and a late reader: a second retry is there all the same.
    study.add_trial(create_trial(state=TrialState.WAITING, user_attrs={RETRY_OF: 0}))
    run_trials(study, lambda trial: [float(trial.suggest_int("x", 0, 3))], trials=2)
    assert states(study) == ["FAIL", "COMPLETE", "FAIL", "COMPLETE"]
    assert study.trials[1].params == {"x": 1}
    assert (
        study.trials[2].user_attrs["surplus"] == "trial 0 is repeated by an earlier trial already"
    )


def test_a_lease_that_was_copied_to_another_storage_is_dead():
    here = lease("file 1:2")
    assert not is_dead(here, "file 1:2")
    assert is_dead(here, "file 1:3")
    for known in ("", "file 1:2"):  # behind a proxy, or by an earlier version
        assert not is_dead(lease(known), "")
        assert not is_dead(lease(""), known)
    assert not is_dead({k: v for k, v in lease().items() if k != "place"}, "file 1:2")
    elsewhere = here | {"host": "elsewhere"}  # where a file may have another number
    assert not is_dead(elsewhere, "file 1:3")


def test_a_clock_that_is_set_back_keeps_no_trial_alive():
    ahead = time.time() + 3 * 3600
    assert is_dead(lease() | {"host": "elsewhere", "renewed": ahead})
    study = optuna.create_study()
    study.add_trial(running(-3 * 3600))
    study.add_trial(running(-3 * 86400))
    assert [is_alive(trial) for trial in study.trials] == [False, False]
    assert [is_abandoned(trial) for trial in study.trials] == [False, True]


def test_the_place_of_a_storage_stays_when_it_is_renamed_and_not_when_it_is_copied():
    for kind in ("sqlite", "journal"):
        storage = open_storage(f"{kind}:///a.{kind}", create=True)
        optuna.create_study(storage=storage)
        place = place_of(storage)
        assert place.startswith("file ")
        assert place_of(open_storage(f"{kind}:///a.{kind}")) == place
        close_storage(storage)
        shutil.copy(f"a.{kind}", f"b.{kind}")
        assert place_of(open_storage(f"{kind}:///b.{kind}")) not in ("", place)
        Path(f"a.{kind}").rename(f"c.{kind}")
        assert place_of(open_storage(f"{kind}:///c.{kind}")) == place
    assert place_of(optuna.storages.InMemoryStorage()) == ""


def test_the_place_of_a_database_on_a_server(postgres_server):
    urls = [database(postgres_server, f"place{os.getpid()}{i}") for i in range(2)]
    storages = [open_storage(url, create=True) for url in (*urls, urls[0])]
    first, second, again = map(place_of, storages)
    assert first.startswith("server ")
    assert first == again != second
    for storage in storages:
        close_storage(storage)
