"""A search whose predictor learns from an older study."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import study_tiny

import optnas as package
from optnas.errors import InputError
from optnas.search.warm_start import remembered_warm_start
from optnas.storage.open import open_storage
from optnas.storage.urls import without_password
from optnas.study.attributes import SOURCE
from optnas.study.load import find_study
from optnas.study.record import record_of


@pytest.fixture
def older(search):
    """A search that another sampler has run, in old.journal."""
    older = replace(search, name="older", storage="old.journal", trials=5)
    older.run(progress=False)
    return older


@pytest.fixture
def warm(search, older):
    sampler = package.PredictorSampler(n_startup_trials=3, n_candidates=12, n_checked=4)
    return replace(search, sampler=sampler, trials=7, warm_start="old.journal")


def params(study):
    return [trial.params for trial in study.trials]


def test_it_resumes_exactly_although_the_older_study_goes_on(warm, older, capsys):
    whole = replace(warm, name="whole").run()
    assert "learns from 5 trials of study 'older'" in capsys.readouterr().err
    assert whole.user_attrs[SOURCE]["trials"] == [0, 1, 2, 3, 4]
    for trials in (1, 4, 7):
        cut = replace(warm, trials=trials).run(progress=False)
        replace(older, trials=5 + trials).run(progress=False)
    assert params(cut) == params(whole)
    cold = replace(warm, name="cold", warm_start="none").run(progress=False)
    assert SOURCE not in cold.user_attrs
    assert params(cold) != params(whole)


def test_a_study_object_and_another_study_of_the_same_database_will_do(warm, older):
    given = optuna.load_study(study_name="older", storage=open_storage("journal:///old.journal"))
    of_object = replace(warm, name="a", warm_start=given).run(progress=False)
    for trials in (3, 7):  # then the database holds two studies, one of which is its own
        of_same = replace(warm, name="b", storage="old.journal", trials=trials).run(progress=False)
    named = replace(warm, name="c", warm_start="old.journal#older").run(progress=False)
    assert params(of_object) == params(of_same) == params(named)


def test_what_can_not_teach_is_refused_before_a_database_is_made(warm, older):
    replace(older, name="second", trials=1).run(progress=False)
    optuna.create_study(study_name="empty", storage="sqlite:///empty.db")
    optuna.create_study(study_name="tiny", storage="sqlite:///own.db")
    cases = {
        "gone.db": "gone.db: .* Put it back, .* go on without it: `warm_start=none`",
        "old.journal": r"2 studies to learn from \(older, second\): say .*old.journal#older'",
        "old.journal#oldr": "no study 'oldr' to learn from; there are: older, second",
        "empty.db": "'empty': it has no COMPLETE trial",
    }
    for given, message in cases.items():
        with pytest.raises(InputError) as error:
            replace(warm, name="new", warm_start=given).open()
        assert re.search(message, str(error.value)), error.value
        assert not Path("new.db").exists()
    given = replace(warm, name="new", warm_start="old.journal#older", objectives=("flops", "macs"))
    with pytest.raises(InputError, match=r"are loss \(minimize\), params .*: at least one must"):
        given.open()
    assert not Path("new.db").exists()
    for itself in ("own.db", "own.db#tiny"):
        with pytest.raises(InputError, match="'tiny', which can't learn from itself"):
            replace(warm, storage="own.db", warm_start=itself).open()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"warm_start": "old.py"},
            "`warm_start='old.py'` is no database: give a file that ends in",
        ),
        ({"warm_start": 3}, "warm_start must be a database file, a URL or an Optuna study, got 3"),
        ({"sampler": "evolution"}, "only the predictor learns .* the sampler is evolution: give"),
        ({"sampler": optuna.samplers.TPESampler()}, "the sampler is TPESampler: give"),
    ],
)
def test_wrong_settings_are_refused_at_once(search, settings, message):
    with pytest.raises(InputError, match=message):
        replace(search, **{"sampler": "predictor", "warm_start": "old.journal", **settings})


def test_no_password_is_remembered():
    assert without_password("postgresql://me:secret@host/db") == "postgresql://me@host/db"
    assert remembered_warm_start("postgresql://me:secret@host/db#a/b") == (
        "postgresql://me@host/db#a/b"
    )


def test_a_name_may_hold_the_sign_that_comes_before_a_name(search, tmp_path):
    given = replace(search, sampler="predictor", warm_start=tmp_path / "a#b.db")
    assert given.warm_start == f"sqlite:///{tmp_path}/a%23b.db"
    assert replace(given).warm_start == given.warm_start


def test_the_command_remembers_it_until_there_is_none(optnas, older, tmp_path):
    tiny_file = shutil.copyfile(study_tiny.__file__, tmp_path / "study_tiny.py").name
    code, _, err = optnas("run", tiny_file, "--sampler", "predictor", "--warm-start", "old.journal")
    assert code == 0, err
    assert "learns from 5 trials of study 'older'" in err
    kept = record_of(find_study("sqlite:///study_tiny.db")).overrides.warm_start
    assert kept == f"journal:///{Path.cwd()}/old.journal"
    Path("old.journal").rename("moved.journal")
    code, _, err = optnas("run", tiny_file, "--trials", 5)
    assert code == 2
    assert "Put it back, or say where it lies now, or go on without it: --warm-start none" in err
    code, _, err = optnas("run", tiny_file, "--trials", 5, "--warm-start", "moved.journal")
    assert code == 0, err
    code, _, err = optnas("run", tiny_file, "--trials", 6, "--warm-start", "none")
    assert code == 0, err
    assert "learns from" not in err
    code, _, err = optnas("run", tiny_file, "--warm-start", "digits")
    assert "--warm-start digits is no database: give a file that ends in .db, .sqlite" in err
    code, _, err = optnas("run", tiny_file, "--sampler", "random", "--warm-start", "moved.journal")
    assert code == 2
    assert "the sampler is random: give --sampler predictor, or no older" in err
