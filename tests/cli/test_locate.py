"""A bare name finds the study that it can only mean."""

import shutil
from pathlib import Path

import optuna
import pytest

from optnas.cli.locate import Located, located
from optnas.storage.urls import sqlite_url

TINY = Path(__file__).parents[1] / "helpers" / "study_tiny.py"


def make(database, *names):
    for name in names:
        optuna.create_study(study_name=name, storage=sqlite_url(Path(database)))


def test_a_run_says_at_once_what_it_loads_and_then_which_study_where(optnas):
    Path("deep").mkdir()
    shutil.copyfile(TINY, "deep/tiny.py")
    code, _, err = optnas("run", "tiny.py")
    assert code == 0
    lines = err.splitlines()
    assert lines[0] == "loading tiny.py: PyTorch takes some seconds"
    assert lines[1] == "tiny.py: deep/tiny.py"
    assert lines[2].startswith("study tiny in sqlite:///deep/tiny.db, on ")
    for name in ("tiny.py", "tiny.db", "deep/tiny.py", "sqlite:///deep/tiny.db"):
        assert optnas("status", name)[0] == 0, name


def test_the_name_of_a_study_does_like_the_name_of_its_database(optnas):
    make("mine.db", "mine")
    make("two.db", "first", "second")
    assert located("mine", None) == Located("mine.db", None)
    assert located("second", None) == Located("two.db", "second")
    code, out, _ = optnas("status", "second")
    assert (code, out.split()[0]) == (0, "second")


def test_a_name_with_a_slash_is_found_like_any_other(optnas):
    make("exp%2F1.db", "exp/1")
    make("two.db", "exp/2", "../x")
    assert located("exp/1", None) == Located("exp%2F1.db", None)
    assert located("exp/2", None) == Located("two.db", "exp/2")
    assert located("../x", None) == Located("two.db", "../x")
    code, out, _ = optnas("status", "exp/1")
    assert (code, out.split()[0]) == (0, "exp/1")


@pytest.mark.parametrize(
    "argument", ["sqlite:///x.db", "a/b.py", "digits_cnn", "nothing", "nothing.py", "", "both.py"]
)
def test_what_is_named_in_full_unknown_or_ambiguous_stays_as_it_is(argument):
    for folder in ("a", "b"):
        Path(folder).mkdir()
        Path(folder, "both.py").touch()
    make("digits_cnn.db", "digits_cnn")
    assert located(argument, "given") == Located(argument, "given")


@pytest.mark.parametrize("ending", ["", ".py", ".db"])
def test_a_name_that_no_file_can_have_is_named_in_the_error(optnas, ending):
    Path("deep").mkdir()
    argument = "n" * 300 + ending
    code, _, err = optnas("status", argument)
    assert (code, err.splitlines()[-1].count("optnas: ")) == (2, 1)
    code, _, err = optnas("fits", argument)
    assert (code, "there is no study file" in err) == (2, True)


def test_a_slip_in_a_name_is_answered_with_what_was_meant(optnas):
    make("two.db", "digits_long", "digits_short")
    Path("my_file.py").touch()
    for args, message in (
        (("status", "two.db", "--name", "Digits_lng"), "(did you mean digits_long"),
        (("status", "digits_shrt"), "(did you mean digits_short"),
        (("status", "digits_shrt"), "there are: digits_long, digits_short"),
        (("pareto", "digits_cn"), "(did you mean digits_cnn"),
        (("run", "my_fle.py"), "there is no study file my_fle.py (did you mean my_file.py?)"),
        (("status", "tow.db"), "there is no study at tow.db (did you mean two.db?)"),
        (("compare", "./tow.db", "two.db"), "(did you mean two.db?)"),
    ):
        code, _, err = optnas(*args)
        assert code == 2
        assert message in err, args
    assert optnas("status", "no/two.db")[2].count("\n") == 1


def test_of_many_studies_only_some_are_listed(optnas):
    make("many.db", *(f"study{number}" for number in range(31)))
    _, _, err = optnas("status", "many.db")
    assert "study4 and 26 more" in err
    _, _, err = optnas("status", "many.db", "--name", "stdy7")
    assert "study4 and 26 more (did you mean study7" in err


def test_a_study_is_copied_by_its_file_its_name_and_its_database(optnas):
    shutil.copyfile(TINY, "tiny.py")
    make("tiny.db", "tiny")
    for number, source in enumerate(("tiny.py", "tiny", "tiny.db", "sqlite:///tiny.db")):
        code, out, err = optnas("storage", "copy", source, f"copy{number}.db")
        assert code == 0, err
        assert f"0 trials of 'tiny' to sqlite:///copy{number}.db" in out
