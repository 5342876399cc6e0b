"""What a block sets on a trial is written at once; others' running trials are read sparingly."""

import optuna
import pytest
import sqlalchemy
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState
from ways import both_ways

from optnas.storage import row_storage
from optnas.storage.open import close_storage, open_storage
from optnas.storage.together import together

URL = "sqlite:///s.db"


@pytest.fixture
def opened(way):
    """A study that writes, and one with a storage of its own that reads."""
    storages = [open_storage(URL, create=True) for _ in range(2)]
    sampler = optuna.samplers.RandomSampler(seed=0)  # which reads nothing
    study = optuna.create_study(storage=storages[0], study_name="s", sampler=sampler)
    yield study, optuna.load_study(study_name="s", storage=storages[1])
    for storage in storages:
        close_storage(storage)


def set_all(trial):
    trial.suggest_int("x", 0, 3)
    trial.set_user_attr("a", [1])
    trial.set_user_attr("a", [2])
    trial.set_constraint("c", 0.5)


def written(study):
    (trial,) = study.trials
    return trial.params.keys(), trial.user_attrs, trial.constraints


@both_ways
def test_others_see_all_of_it_or_nothing(opened, way):
    study, reader = opened
    trial = study.ask()
    all_of_it = {"x"}, {"a": [2]}, {"c": 0.5}
    with together(trial):
        set_all(trial)
        assert trial.constraints == {"c": 0.5}  # the trial itself knows it
        assert written(reader) == (all_of_it if way == "public" else (set(), {}, {}))
    assert written(reader) == all_of_it
    assert trial.user_attrs == {"a": [2]}
    trial.set_user_attr("later", 1)
    assert "later" in written(reader)[1]


def statements(study):
    found = []
    engine = study._storage._backend.engine
    sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *args: found.append(args[2]))
    return found


def test_one_statement_a_table_and_one_for_the_state(opened):
    study, _ = opened
    with together(trial := study.ask()):
        set_all(trial)  # the distribution of x is known from now on
    trial = study.ask()
    found = statements(study)
    with together(trial):
        trial.suggest_int("x", 0, 3)
        for i in range(10):
            trial.set_user_attr(f"a{i}", i)
    assert [text.split()[0] for text in found] == ["SELECT", "INSERT", "INSERT"]


@both_ways
@pytest.mark.parametrize("error", [optuna.TrialPruned, KeyboardInterrupt, ZeroDivisionError])
def test_what_was_set_is_written_however_the_block_ends(opened, error):
    study, reader = opened
    trial = study.ask()

    def block():
        with together(trial):
            set_all(trial)
            raise error

    with pytest.raises(error):
        block()
    assert written(reader) == ({"x"}, {"a": [2]}, {"c": 0.5})


@both_ways
def test_a_trial_that_another_process_ended_takes_nothing(opened):
    study, reader = opened
    trial = study.ask()
    reader.tell(trial.number, 1.0)
    with pytest.raises(UpdateFinishedTrialError), together(trial):
        trial.set_user_attr("a", 1)
    assert reader.trials[0].user_attrs == {}


@both_ways
def test_a_distribution_that_does_not_fit_is_refused_and_nothing_is_written(opened, way):
    study, reader = opened
    study.ask().suggest_int("x", 0, 3)
    trial = study.ask()

    def block():
        with together(trial):
            trial.set_user_attr("a", 1)
            trial.suggest_categorical("x", ["b"])

    with pytest.raises(ValueError, match="different distribution kind"):
        block()
    assert reader.trials[1].user_attrs == ({} if way == "rows" else {"a": 1})


@both_ways
def test_a_value_that_is_no_json_is_refused_where_it_is_set(opened):
    trial = opened[0].ask()
    with together(trial), pytest.raises(TypeError):
        trial.set_user_attr("a", object())


def test_a_storage_without_rows_is_written_at_once():
    study = optuna.create_study()
    trial = study.ask()
    with together(trial):
        trial.set_user_attr("a", 1)
        assert study.trials[0].user_attrs == {"a": 1}


def test_what_was_read_of_a_settled_trial_stands_for_a_while(opened, monkeypatch):
    study, _ = opened
    storage = open_storage(URL, create=True, settled="architecture")
    sparing = optuna.load_study(study_name="s", storage=storage)
    trial = study.ask()
    assert sparing.trials[0].user_attrs == {}
    trial.set_user_attr("architecture", "a")
    assert sparing.trials[0].user_attrs == {"architecture": "a"}  # it wasn't settled before
    trial.set_user_attr("curve", 1)
    found = statements(sparing)
    assert sparing.trials[0].user_attrs == {"architecture": "a"}
    assert len(found) == 1
    assert study.trials[0].user_attrs == {"architecture": "a", "curve": 1}  # reads all anew
    assert storage.get_trial(trial._trial_id).user_attrs == {"architecture": "a", "curve": 1}
    monkeypatch.setattr(row_storage, "STANDS", -1.0)
    assert sparing.trials[0].user_attrs == {"architecture": "a", "curve": 1}
    monkeypatch.setattr(row_storage, "STANDS", 10.0)
    study.tell(trial, 2.0)
    (ended,) = sparing.trials
    assert (ended.state, ended.values) == (TrialState.COMPLETE, [2.0])  # an end is seen at once
    close_storage(storage)
