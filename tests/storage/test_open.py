import sqlite3

import optuna
import pytest
import sqlalchemy
from ways import both_ways

import optnas.storage.open
from optnas.errors import InputError
from optnas.storage.faults import storage_fault
from optnas.storage.open import open_storage
from optnas.storage.urls import storage_path

pytestmark = pytest.mark.makes_databases


@both_ways
def test_a_new_database_is_set_up_to_survive(tmp_path):
    storage = open_storage(f"sqlite:///{tmp_path}/new.db", create=True)
    study = optuna.create_study(storage=storage)
    study.add_trial(optuna.create_trial(value=1.0))
    with storage._backend.engine.connect() as connection:
        pragmas = [
            connection.execute(sqlalchemy.text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        ]
    assert pragmas == ["wal", 1, 5_000]


@both_ways
def test_plain_optuna_opens_it(tmp_path):
    url = f"sqlite:///{tmp_path}/new.db"
    optuna.create_study(study_name="s", storage=open_storage(url, create=True))
    assert optuna.load_study(study_name="s", storage=url).trials == []


def test_reading_makes_no_file(tmp_path):
    with pytest.raises(InputError, match="there is no study at"):
        open_storage(f"sqlite:///{tmp_path}/none.db")
    assert list(tmp_path.iterdir()) == []


def other_program(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.commit()
    connection.close()


def truncated(path):
    optuna.create_study(storage=f"sqlite:///{path}")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3])


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda p: p.write_text("hello, this is text"), "not a database"),
        (other_program, r"database of another program \(tables: recipes\)"),
        (truncated, "can't be"),
        (lambda p: p.mkdir(), "is a folder"),
    ],
)
@pytest.mark.parametrize("create", [False, True])
def test_what_is_no_study_is_left_alone(tmp_path, prepare, message, create):
    path = tmp_path / "study.db"
    prepare(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(InputError, match=message):
        open_storage(f"sqlite:///{path}", create=create)
    assert (path.read_bytes() if path.is_file() else None) == before


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "study",
            "is no URL, nor a file that ends in .db, .*: give study.db or sqlite:///study.db",
        ),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///no/such/folder/study.db", "there is no folder"),
        ("mysql://x/y", "isn't tested with; these are: sqlite, journal, postgresql, grpc"),
        ("postgresql://localhost:1/x", "can't be opened: .*(refused|Cannot assign)"),
        ("postgresql+pg8000://localhost:1/x", "needs a package that isn't here"),
        ("postgresql+nothing://localhost:1/x", "can't be opened"),
        ("journal:///", "names no file"),
        ("journal:///no/such/folder/study.journal", "there is no folder"),
        ("grpc://", "a storage proxy is grpc://host:port"),
        ("grpc://localhost", "a storage proxy is grpc://host:port"),
        ("grpc://127.0.0.1:1", "no storage proxy answers at 127.0.0.1:1"),
    ],
)
def test_urls_that_are_wrong(url, message, monkeypatch):
    monkeypatch.setattr(optnas.storage.open, "ANSWER_SECONDS", 0.1)
    with pytest.raises(InputError, match=message):
        open_storage(url, create=True)


def test_path_of_a_url():
    assert str(storage_path("sqlite:///a/b.db")) == "a/b.db"
    assert str(storage_path("sqlite:////a/b.db")) == "/a/b.db"
    assert storage_path("postgresql://host/x") is None


@both_ways
def test_a_database_that_fails_in_the_middle_is_told_from_a_mistake_in_the_code(tmp_path):
    path = tmp_path / "study.db"
    storage = open_storage(f"sqlite:///{path}", create=True)
    study = optuna.create_study(study_name="s", storage=storage)
    with storage._backend.engine.begin() as connection:
        connection.execute(sqlalchemy.text("DROP TABLE trials"))
    with pytest.raises(Exception) as raised:  # noqa: PT011
        study.ask()
    assert "no such table: trials" in storage_fault(raised.value)
    assert storage_fault(ValueError("mistake")) is None
