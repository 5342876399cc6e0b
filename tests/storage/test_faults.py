"""What goes wrong with a storage: each is one sentence, and nothing that was there is lost."""

import json
import shutil
import sqlite3
import sys
import threading
from pathlib import Path

import optuna
import pytest
import sqlalchemy
import torch
import warm
from filelock import FileLock
from hypothesis import example, given, strategies as st
from networks import build_linear, score
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState, create_trial
from ways import both_ways

import optnas.storage.journal
import optnas.storage.sqlite
from optnas.cli.front_table import front_table
from optnas.cli.status_table import status_table
from optnas.errors import InputError, StorageGoneError
from optnas.runs.loop import run_trials
from optnas.storage.faults import storage_message
from optnas.storage.open import close_storage, open_storage
from optnas.storage.urls import shown_url
from optnas.study.attributes import BASELINE, FAILURE, LEASE, LOST, RETRY_OF, SEED
from optnas.study.record import RECORD

pytestmark = pytest.mark.makes_databases

URL = "sqlite:///study.db"
JOURNAL = "journal:///study.journal"


def make(url=URL, trials=3):
    """A small study, and what it is made of."""
    storage = open_storage(url, create=True)
    study = optuna.create_study(study_name="s", storage=storage)
    run_trials(study, objective, trials=trials)
    close_storage(study._storage)


def objective(trial):
    return (trial.suggest_float("x", 0, 1),)


def load(url=URL):
    return optuna.load_study(study_name="s", storage=open_storage(url, create=True))


def execute(sql, *values, path="study.db"):
    with sqlite3.connect(path) as connection:
        found = connection.execute(sql, values).fetchall()
    connection.close()
    return found


def files():
    """What lies here, but for the locks of journals."""
    found = [p for p in Path().iterdir() if p.is_file() and p.suffix != ".lock"]
    return {p.name: p.read_bytes() for p in found}


def limit_pages(study, beyond):
    """A disk that is full after a number of further pages."""

    def limit(connection, _record):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + beyond}")

    engine = study._storage._backend.engine
    sqlalchemy.event.listen(engine, "connect", limit)
    engine.dispose()


@both_ways
def test_a_disk_that_fills_up_in_the_middle_of_a_run():
    make()
    study = load()
    limit_pages(study, 3)
    with pytest.raises(Exception) as raised:  # noqa: PT011
        run_trials(study, objective, trials=200)
    assert storage_message(raised.value) == (
        "the storage failed (the disk is full: database or disk is full); what it holds is kept: "
        "make room on the disk, and run it again to resume"
    )
    close_storage(study._storage)

    study = load()
    before = [t.params for t in study.trials if t.state == TrialState.COMPLETE]
    run_trials(study, objective, trials=len(before) + 5)
    states = [t.state for t in study.trials]
    assert states.count(TrialState.COMPLETE) == len(before) + 5
    assert TrialState.RUNNING not in states
    assert [t.number for t in study.trials] == list(range(len(states)))
    assert execute("PRAGMA integrity_check") == [("ok",)]
    close_storage(study._storage)


@both_ways
def test_a_database_whose_making_was_interrupted_is_finished():
    """As when the disk was full: some tables are there."""
    execute("CREATE TABLE studies (study_id INTEGER PRIMARY KEY, study_name VARCHAR(512))")
    shutil.copy("study.db", "before.db")
    with pytest.raises(InputError, match="there is no study in"):
        open_storage(URL)
    assert Path("study.db").read_bytes() == Path("before.db").read_bytes()
    make("sqlite:///new.db")
    execute("DELETE FROM alembic_version", path="new.db")
    close_storage(load("sqlite:///new.db")._storage)
    assert execute("SELECT count(*) FROM alembic_version", path="new.db") == [(1,)]


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("v9.0.0.a", "updating optuna to the latest version"),
        ("v3.0.0.a", "execute `. optuna storage upgrade --storage sqlite:///study.db`"),
    ],
)
@pytest.mark.parametrize("create", [False, True])
def test_other_versions_of_optuna_are_left_alone(version, message, create):
    make()
    execute("UPDATE alembic_version SET version_num = ?", version)
    execute("DROP TABLE trial_heartbeats")  # an earlier version had fewer
    execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = Path("study.db").read_bytes()
    with pytest.raises(InputError, match=message):
        open_storage(URL, create=create)
    assert Path("study.db").read_bytes() == before


@pytest.mark.parametrize("create", [False, True])
def test_a_damaged_file_gets_no_files_beside_it(create):
    make()
    data = Path("study.db").read_bytes()
    Path("study.db").write_bytes(data[:8192])
    before = files()
    with pytest.raises(InputError, match="the file is damaged"):
        open_storage(URL, create=create)
    assert files() == before


def hold_lock(monkeypatch, before, level="EXCLUSIVE"):
    """Locks the file from another connection until the waiting has been said twice over."""
    monkeypatch.setattr(optnas.storage.sqlite, "SLOW", 0.01)
    connection = sqlite3.connect("study.db", isolation_level=None, check_same_thread=False)
    said = []

    def warn(message, path):
        said.append(message % path)
        threading.Timer(before, connection.close).start()

    monkeypatch.setattr(optnas.storage.sqlite.log, "warning", warn)
    return connection, said, lambda: connection.execute(f"BEGIN {level}")


@both_ways
@pytest.mark.parametrize("level", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_run_waits_for_a_lock_and_says_so(monkeypatch, level):
    make()
    _, said, lock = hold_lock(monkeypatch, 0.05, level)
    study = load()
    lock()
    run_trials(study, objective, trials=5)
    assert len(study.trials) == 5
    assert said[0].endswith("study.db locked; waiting for it")
    close_storage(study._storage)


@both_ways
def test_opening_waits_for_a_lock_and_says_so(monkeypatch):
    optuna.create_study(study_name="s", storage=URL)._storage.remove_session()
    _, said, lock = hold_lock(monkeypatch, 0.05)
    lock()
    close_storage(load()._storage)
    assert said == ["another program has study.db locked; waiting for it"]


@both_ways
def test_a_lock_that_never_ends(monkeypatch):
    make()
    connection, _, lock = hold_lock(monkeypatch, 100)
    monkeypatch.setattr(threading.Timer, "start", lambda timer: None)
    monkeypatch.setattr(optnas.storage.sqlite, "TIMEOUT", 0.05)
    study = load()
    lock()
    with pytest.raises(Exception) as raised:  # noqa: PT011
        study.set_user_attr("a", 1)
    assert "another program has it locked" in storage_message(raised.value)
    connection.close()
    close_storage(study._storage)


@both_ways
@pytest.mark.parametrize(("url", "replaced"), [(URL, False), (URL, True), (JOURNAL, False)])
def test_a_file_that_is_deleted_in_the_middle_of_a_run(url, replaced):
    make(url)
    study = load(url)
    for path in Path().glob("study.*"):
        if path.suffix != ".lock":
            path.unlink()
    if replaced:
        make(url)
    before = files()
    with pytest.raises(StorageGoneError) as raised:
        run_trials(study, objective, trials=10)
    assert "was deleted or replaced while it was in use" in storage_message(raised.value)
    close_storage(study._storage)
    assert files() == before


def call(*args):
    process = warm.Command(*args, before="from privileges import lose_privileges as l; l()")
    out, err = process.communicate()
    assert "Traceback" not in err
    return process.returncode, out, err


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="how root is bound is Linux's")
def test_a_study_in_a_folder_that_cant_be_written_to(tmp_path):
    (tmp_path / "tiny.py").write_text(
        (Path(__file__).parents[1] / "helpers" / "study_tiny.py").read_text()
    )
    make()
    before = files()
    tmp_path.chmod(0o500)
    try:
        code, out, _ = call("status", URL)
        assert (code, "3 COMPLETE" in out) == (0, True)
        code, _, err = call("run", "tiny.py", "--storage", URL, "--name", "s")
        assert (code, "is read-only: allow writing to it" in err) == (2, True)
    finally:
        tmp_path.chmod(0o700)
    assert files() == before


LINES = {
    "garbage": b"garbage\n",
    "no dictionary": b"[1]\n",
    "unknown operation": b'{"op_code":99,"worker_id":"x"}\n',
    "missing keys": b'{"op_code":4,"worker_id":"x"}\n',
    "too deep": b"[" * 100_000 + b"\n",
    "no text": b"\xff\n",
}


@pytest.fixture
def locked_journal(monkeypatch):
    """A study whose journal is locked from now on, what is said of it, and the lock."""
    make(JOURNAL)
    study, said = load(JOURNAL), []
    monkeypatch.setattr(optnas.storage.journal, "SLOW", 0.01)
    lock = FileLock("study.journal.lock", thread_local=False)
    lock.acquire()
    yield study, said, lock
    lock.release()


def test_a_run_waits_for_a_locked_journal_and_says_so(monkeypatch, locked_journal):
    study, said, lock = locked_journal

    def let_go(message, path):
        said.append(message % path)
        lock.release()

    monkeypatch.setattr(optnas.storage.journal.log, "warning", let_go)
    run_trials(study, objective, trials=5)
    assert len(study.trials) == 5
    assert said == ["another program has study.journal locked; waiting for it"]


def test_a_journal_that_stays_locked_ends_the_run(monkeypatch, locked_journal):
    monkeypatch.setattr(optnas.storage.journal, "TIMEOUT", 0.05)
    with pytest.raises(StorageInternalError) as raised:
        run_trials(locked_journal[0], objective, trials=5)
    assert "another program has study.journal locked; is one stopped" in storage_message(
        raised.value
    )


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_a_damaged_journal_is_left_alone(line):
    make(JOURNAL)
    lines = Path("study.journal").read_bytes().splitlines(keepends=True)
    Path("study.journal").write_bytes(b"".join([*lines[:5], line, *lines[5:]]))
    before = files()
    for create in (False, True):
        with pytest.raises(InputError, match="journal is damaged"):
            open_storage(JOURNAL, create=create)
    assert files() == before


def test_another_file_is_no_journal():
    for content in (b'{"a": 1}\n', b"text\n", b"x" * 20_000, b"5\n", b"\0\n"):
        Path("study.journal").write_bytes(content)
        with pytest.raises(InputError, match="is no journal of Optuna's"):
            open_storage(JOURNAL, create=True)
        assert Path("study.journal").read_bytes() == content


def test_a_torn_last_line_is_mended():
    make(JOURNAL)
    with open("study.journal", "ab") as file:
        file.write(b'{"op_code":6,"wor')
    assert len(optuna.load_study(study_name="s", storage=open_storage(JOURNAL)).trials) == 3
    study = load(JOURNAL)
    run_trials(study, objective, trials=5)
    assert len(load(JOURNAL).trials) == 5


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(attrs=st.dictionaries(st.sampled_from([BASELINE, FAILURE, LEASE, LOST, RETRY_OF]), JUNK))
@example({LEASE: 5})
@example({LEASE: {}})
@example({LEASE: {"host": "elsewhere", "renewed": "x"}})
@example({RETRY_OF: "x"})
@example({RETRY_OF: 10**12})
@example({RETRY_OF: 1})
@example({BASELINE: []})
@example({FAILURE: {}})
def test_attributes_that_somebody_else_wrote_on_trials(attrs):
    """Retries that repeat each other, or none; leases that say nothing."""
    study = optuna.create_study(directions=["minimize"])
    for state in (TrialState.FAIL, TrialState.RUNNING, TrialState.COMPLETE):
        values = [1.0] if state == TrialState.COMPLETE else None
        study.add_trial(create_trial(state=state, values=values, user_attrs=attrs))
    study._storage.set_trial_state_values(1, TrialState.FAIL)
    run_trials(study, objective, trials=3, baselines={"b": {}})
    assert [t.state for t in study.trials].count(TrialState.COMPLETE) == 3
    status_table(study)
    front_table(study)


RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "version": JUNK,
        "file": JUNK,
        "fingerprint": JUNK,
        "overrides": JUNK
        | st.fixed_dictionaries(
            {}, optional={"trials": JUNK, "sampler": JUNK, "hours": JUNK, "nope": JUNK}
        ),
        "scores": JUNK,
        "accepted": JUNK,
        "size": JUNK,
    },
)


@given(record=JUNK | RECORDS, seed=JUNK)
@example(5, None)
@example({"overrides": {"nope": 1}}, None)
@example({"overrides": 5, "scores": 5, "accepted": 5, "file": 5, "size": []}, "x")
def test_a_record_that_somebody_else_wrote(record, seed):
    study = optuna.create_study(study_name="tiny", directions=["minimize"] * 2)
    study.add_trial(create_trial(values=[1.0, 2.0]))
    study.set_user_attr(RECORD, json.loads(json.dumps(record)))
    study.set_user_attr(SEED, seed)
    status_table(study)
    front_table(study)
    search = optnas.Search(
        space=optnas.FunctionSpace(build_linear, torch.zeros(1, 2)),
        evaluator=optnas.FunctionEvaluator(score, {"loss": "minimize"}),
        objectives=("loss", "params"),
        storage=study._storage,
        name="tiny",
    )
    with pytest.raises(InputError, match=r"wasn't made by optnas|another one|compared"):
        search.open()


def test_a_password_is_never_shown():
    for url in ("postgresql://u:geheim@h:1/x?password=geheim", "postgresql://u:geheim@h:port/x"):
        assert "geheim" not in shown_url(url)
        with pytest.raises(InputError) as raised:
            open_storage(url)
        assert "geheim" not in str(raised.value)
