"""The files of a study belong to it alone, whatever its name and wherever its database lies."""

import os
import shutil
from pathlib import Path

import optuna
import pytest
from common.postgres import database
from hypothesis import example, given, strategies as st

from optnas.export.formats import FORMATS
from optnas.export.model import suffix_of
from optnas.storage.open import close_storage, open_storage
from optnas.storage.urls import Location
from optnas.study.folders import (
    FILES,
    SUFFIXES,
    StudyFiles,
    default_url,
    file_name,
    files_of,
    own_files,
)
from optnas.study.load import load_or_create
from optnas.study.record import RECORD


@pytest.fixture
def names():
    """What the names of a study's files begin with: of an open study, and of one that is read."""

    def of(url, name="x", of=own_files, root=None, **attrs):
        location = Location(url, root or Path.cwd())
        storage = open_storage(location.absolute_url, create=True)
        try:
            study, _ = load_or_create(storage, name, ["minimize"])
            for key, value in attrs.items():
                study.set_user_attr(key, value)
            files = of(study, location)
        finally:
            close_storage(storage)
        assert files.folder == location.folder
        return files.name

    return of


def test_the_first_study_of_a_name_has_plain_names_and_no_other_has_the_same(names):
    urls = ["sqlite:///b.db", "sqlite:///x.db", "journal:///x.journal", "sqlite:///x.sqlite3"]
    found = [names(url) for url in urls]
    assert found[0] == "x"
    assert len(set(found)) == len(found)
    assert [names(url) for url in urls] == found
    assert [names(url, of=files_of) for url in urls] == found
    Path("deep").mkdir()
    assert names("sqlite:///deep/b.db") == "x"


def test_studies_on_servers_share_no_names_in_one_working_directory(names, postgres_server):
    urls = [database(postgres_server, f"files{os.getpid()}{i}") for i in range(2)]
    first, second = (names(url) for url in urls)
    assert len({first, second, names("sqlite:///x.db")}) == 3
    assert first.startswith("x-")
    assert [names(url) for url in urls] == [first, second]


def test_studies_in_memory_share_no_names():
    location = Location("", Path.cwd())
    studies = [optuna.create_study(study_name="x") for _ in range(2)]
    assert len({own_files(study, location) for study in studies}) == 2


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_study_does_not_take_the_files_of_one_that_was_there_before(names, suffix):
    path = Path(f"x{suffix}")
    path.write_text("the other's")
    tagged = names("sqlite:///x.db")
    assert tagged.startswith("x-")
    assert names("sqlite:///x.db") == tagged
    assert path.read_text() == "the other's"


def test_a_study_that_is_deleted_and_made_again_has_other_files(names):
    assert names("sqlite:///x.db") == "x"
    for _ in range(2):
        optuna.delete_study(study_name="x", storage=open_storage("sqlite:///x.db", create=True))
        seen = {p.name for p in Path().glob("x*_weights")}
        again = names("sqlite:///x.db")
        assert f"{again}_weights" not in seen
        Path(f"{again}_weights").mkdir()


def test_a_moved_study_finds_its_files(names):
    url = "sqlite:///deep/b.db"
    Path("deep").mkdir()
    assert names(url) == "x"
    tagged = names(url, "y"), names(url, "z")
    Path("deep").rename("moved")
    Path("moved/b.db").rename("moved/c.db")
    assert names("sqlite:///moved/c.db") == "x"
    shutil.copytree("moved", "copied")  # files on another file system have other numbers
    shutil.rmtree("moved")
    assert names("sqlite:///copied/c.db") == "x"
    assert (names("sqlite:///copied/c.db", "y"), names("sqlite:///copied/c.db", "z")) == tagged


def test_a_copy_of_a_database_file_gets_copies_of_the_folders(names):
    for name in ("x", "y"):
        assert names("sqlite:///x.db", name) == name
        Path(f"{name}_weights").mkdir(exist_ok=True)
        Path(f"{name}_weights", "kept").write_text(name)
    Path("x_checkpoints").mkdir()
    shutil.copy("x.db", "copy.db")
    assert names("sqlite:///copy.db", of=files_of) == "x"
    copied = names("sqlite:///copy.db")
    assert copied.startswith("x-")
    assert Path(f"{copied}_weights", "kept").read_text() == "x"
    assert not Path(f"{copied}_checkpoints").exists()  # the original's trials go on from there
    assert names("sqlite:///copy.db", "y") != "y"
    assert [names("sqlite:///x.db", name) for name in ("x", "y")] == ["x", "y"]
    assert names("sqlite:///copy.db") == copied


def test_a_copy_of_a_journal_gets_a_name_of_its_own(names):
    assert names("journal:///x.journal") == "x"
    shutil.copy("x.journal", "copy.journal")
    assert names("journal:///copy.journal") != names("journal:///x.journal") == "x"


@pytest.mark.parametrize("url", ["sqlite:///x.db", "sqlite:///b.db", "journal:///b.journal"])
def test_a_study_of_an_earlier_version_finds_its_files(names, url):
    Path("x_retrained").mkdir()
    assert names(url, of=files_of, **{RECORD: {}}) == "x"
    assert names(url) == "x"


def test_two_studies_of_an_earlier_version_have_files_of_their_own_from_now_on(names):
    Path("x_weights").mkdir()
    Path("x_weights/kept").touch()
    for url in ("sqlite:///x.db", "sqlite:///b.db"):
        names(url, of=files_of, **{RECORD: {}})
    other = names("sqlite:///b.db")
    assert other != names("sqlite:///x.db") == "x"
    assert Path(f"{other}_weights/kept").exists()


def test_reports_on_studies_of_plain_optuna_do_not_overwrite_each_other(names):
    found = [names(f"sqlite:///{file}.db", of=files_of) for file in ("x", "b", "c")]
    assert found[0] == "x"
    assert len(set(found)) == 3
    assert names("sqlite:///b.db", of=files_of) == found[1]
    assert not list(Path().glob("x_*"))


@pytest.mark.parametrize("kept", ["x", {}, {"name": "../x", "place": ""}, {"name": 1, "place": ""}])
def test_what_other_code_wrote_names_no_files(names, kept):
    assert names("sqlite:///x.db", **{FILES: kept}) == "x"


@given(st.text(max_size=300), st.text(max_size=300))
@example("exp/1", "exp%2F1")
@example("a" * 300, "a" * 301)
@example("..", ".")
@example("../x", "..%2Fx")
@example("", "%")
@example("\ud800", "\0\n")
@example("C:\\x", "C:x")
def test_names_of_files_lie_in_the_folder_and_are_as_many_as_names(first, second):
    for name in (first, second):
        part = file_name(name)
        files = StudyFiles(Path("/folder"), part)
        for path in map(files.path, SUFFIXES):
            assert path.parent == Path("/folder")
            assert Path(os.path.normpath(path)) == path
            assert len(os.fsencode(path.name)) < 200
            assert path.name.isprintable()
            assert not path.name.startswith(".")
    assert (file_name(first) == file_name(second)) == (first == second)


def test_the_default_database_of_a_name_is_found_again():
    root = Path.cwd()
    assert default_url(Path("deep"), "exp/1", root) == "sqlite:///deep/exp%252F1.db"
    assert default_url(Path(), "50%", root) == "sqlite:///50%2525.db"
    Path("50%.db").touch()  # an earlier version's
    assert default_url(Path(), "50%", root) == "sqlite:///50%25.db"


def test_the_default_database_of_a_long_name_has_a_short_one():
    url = default_url(Path(), "n" * 300, Path.cwd())
    assert len(url) < 200


def test_git_ignores_what_a_study_leaves_next_to_it():
    lines = (Path(__file__).parents[2] / ".gitignore").read_text().splitlines()
    ends = {f"*{suffix}" if suffix.endswith(".html") else f"*{suffix}/" for suffix in SUFFIXES}
    files = {f"*.{suffix_of(kind).split('.')[-1]}" for kind in FORMATS.values()}
    assert ends | files | {f"{file}.md" for file in files} <= set(lines)
