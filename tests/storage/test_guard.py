"""Another version of Optuna, or of its dashboard, neither damages a study nor stops a run."""

import dataclasses
import logging
import sys

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from optuna_dashboard import _app
from ways import both_ways

from optnas.dashboard.server import FRONT, make_app
from optnas.runs.loop import run_trials
from optnas.runs.take import ASK, take_trial
from optnas.storage.guard import Private, digest
from optnas.storage.open import close_storage, open_storage
from optnas.storage.row_storage import ROWS, RowStorage
from optnas.storage.together import TRIAL
from optnas.study.attributes import LEASE
from optnas.study.leases import lease

URL = "sqlite:///study.db"


@pytest.mark.parametrize(
    "private", [ROWS, TRIAL, ASK, FRONT], ids=["rows", "trial", "ask", "front"]
)
def test_the_installed_functions_are_those_that_optnas_was_written_for(private):
    """After an upgrade: read what changed, adapt what replaces it, and write the new hash."""
    if private is not FRONT:  # which other tests may have replaced already
        assert {name: digest(name) for name in private.hashes} == private.hashes
    assert private.is_known()


def test_what_is_changed_or_gone_is_reported_once(caplog, monkeypatch):
    name = "optuna.storages._rdb.storage:RDBStorage._get_trials"
    before = digest(name)
    monkeypatch.setattr(RDBStorage, "_get_trials", lambda self, study_id, limit: [])
    assert digest(name) not in ("", before)
    gone = ["optuna.gone", "optuna.gone:f", "optuna.storages:Gone.f", "optuna.storages:len"]
    assert [digest(name) for name in gone] == [""] * 4
    private = Private({name: before, gone[0]: "0"}, "all is slower")
    with caplog.at_level(logging.WARNING, "optnas"):
        assert [private.is_known() for _ in range(3)] == [False] * 3
    assert caplog.messages == [
        "optnas was written for another version of optuna (RDBStorage._get_trials, optuna.gone): "
        "all is slower"
    ]


def test_other_arguments_of_private_functions_are_passed_on(monkeypatch):
    """As a later version may call them, and with its private modules gone."""
    calls = []
    names = [
        "_get_trials",
        "_set_trial_attr_without_commit",
        "_set_trial_value_without_commit",
        "_set_trial_param_without_commit",
    ]
    for name in names:
        monkeypatch.setattr(RDBStorage, name, lambda self, *args, new: calls.append((args, new)))
    monkeypatch.setattr("optnas.storage.guard._is_known", lambda private: False)
    for name in ("rows", "row_writes"):
        monkeypatch.setitem(sys.modules, f"optnas.storage.{name}", None)
    storage = RowStorage(URL)
    for i, name in enumerate(names):
        getattr(storage, name)(i, new="setting")
    assert calls == [((i,), "setting") for i in range(4)]
    storage.engine.dispose()


@both_ways
def test_a_search_comes_to_the_same(search, tmp_path, way):
    study = dataclasses.replace(search, storage=URL).run(progress=False)
    assert study._storage._backend._as_rows == (way == "rows")
    expected = dataclasses.replace(search, storage=optuna.storages.InMemoryStorage()).run(
        progress=False
    )
    assert [t.params for t in study.trials] == [t.params for t in expected.trials]
    assert [t.values for t in study.trials] == [t.values for t in expected.trials]
    assert all(LEASE in t.user_attrs for t in study.trials)
    close_storage(study._storage)
    assert len(optuna.load_study(study_name="tiny", storage=URL).trials) == 6


@both_ways
def test_a_study_that_one_way_began_is_resumed_the_other_way(search, way, monkeypatch):
    begun = dataclasses.replace(search, storage=URL, trials=3).run(progress=False)
    close_storage(begun._storage)
    monkeypatch.setattr("optnas.storage.guard._is_known", lambda private: way == "public")
    study = dataclasses.replace(search, storage=URL).run(progress=False)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 6
    expected = dataclasses.replace(search, storage=optuna.storages.InMemoryStorage()).run(
        progress=False
    )
    assert [t.values for t in study.trials] == [t.values for t in expected.trials]
    close_storage(study._storage)


@both_ways
def test_trials_are_taken_with_a_lease_queued_ones_first(way):
    study = optuna.create_study(storage=open_storage(URL, create=True), study_name="s")
    study.enqueue_trial({"x": 0.25})
    own = lease()
    trials = [take_trial(study, own, study.get_trials(states=(TrialState.WAITING,)))]
    trials.append(take_trial(study, own, []))
    assert [t.number for t in trials] == [0, 1]
    assert trials[0].suggest_float("x", 0, 1) == 0.25
    assert [t.user_attrs[LEASE] for t in study.trials] == [own] * 2
    assert [t.state for t in study.trials] == [TrialState.RUNNING] * 2
    for trial in trials:
        study.tell(trial, 1.0)
    run_trials(study, lambda trial: (trial.suggest_float("x", 0, 1),), trials=4)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 4
    close_storage(study._storage)


@both_ways
def test_the_dashboards_front_is_replaced_where_it_is_known(way, tmp_path, monkeypatch):
    theirs = object()
    monkeypatch.setattr(_app, "get_pareto_front_trials", theirs)
    monkeypatch.setattr("optnas.storage.guard._is_known", lambda private: way == "rows")
    make_app(optuna.storages.InMemoryStorage(), tmp_path)
    assert (_app.get_pareto_front_trials is theirs) == (way == "public")
