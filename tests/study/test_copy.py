"""Copies of studies: to another storage, and as a backup while workers write."""

import dataclasses
import datetime
import math
import os
import shutil
import sqlite3
import time
from pathlib import Path

import held_workers
import optuna
import pytest
from common import light_workers
from common.light_workers import Job
from common.postgres import database
from common.processes import wait_for
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from optnas.errors import InputError
from optnas.storage.open import close_storage, open_storage
from optnas.storage.urls import Location
from optnas.study.attributes import LEASE
from optnas.study.copy import copy_study

KINDS = ("sqlite", "journal", "postgresql")


@pytest.fixture
def url(request):
    """Gives a new storage of a kind."""
    made = []

    def new(kind):
        made.append(kind)
        if kind != "postgresql":
            return f"{kind}:///{len(made)}.{kind}"
        server = request.getfixturevalue("postgres_server")
        return database(server, f"c{abs(hash(request.node.nodeid))}{len(made)}")

    return new


@pytest.fixture
def opened():
    """Opens the study `all` in a storage, until the test ends."""
    studies = []

    def load(url):
        studies.append(optuna.load_study(study_name="all", storage=open_storage(url)))
        return studies[-1]

    yield load
    for study in studies:
        close_storage(study._storage)


def make_everything(url):
    """A study with whatever Optuna can keep."""
    study = optuna.create_study(
        study_name="all",
        storage=open_storage(url, create=True),
        directions=["minimize", "maximize"],
    )
    study.set_metric_names(["a", "b"])
    study.set_user_attr("note", {"ü": [1, None, "x" * 3000]})
    study.set_user_attr("empty", "")
    study._storage.set_study_system_attr(study._study_id, "system", [1.5])
    distributions = {
        "float": FloatDistribution(-1.0, 1.0),
        "log": FloatDistribution(1e-9, 1e9, log=True),
        "step": FloatDistribution(0.0, 1.0, step=0.25),
        "int": IntDistribution(0, 9, step=3),
        "int log": IntDistribution(1, 2**40, log=True),
        "choice": CategoricalDistribution(("a", None, True, 3, 0.1)),
    }
    params = {"float": 0.1, "log": 1e-9, "step": 0.75, "int": 6, "int log": 2**33, "choice": None}
    start = datetime.datetime(2024, 2, 29, 23, 59, 59, 123456)
    for state in TrialState:
        trial = create_trial(
            state=state,
            values=[math.inf, -1e300] if state == TrialState.COMPLETE else None,
            params=params,
            distributions=distributions,
            user_attrs={"loss": math.nan, "curve": [{"step": 0}], "text": "ä\n"},
            system_attrs={"constraints": {"params": -1.0}, "fixed_params": {"int": 6}},
            intermediate_values={0: 0.5, 7: math.inf, 9: math.nan},
        )
        trial.datetime_start = None if state == TrialState.WAITING else start
        if state.is_finished():
            trial.datetime_complete = start + datetime.timedelta(days=1, microseconds=1)
        study.add_trial(trial)
    close_storage(study._storage)


def contents(study):
    """All of a study, but for its ids; NaN equals itself as text."""
    return repr(
        (
            study.directions,
            sorted(study.user_attrs.items()),
            sorted(study._storage.get_study_system_attrs(study._study_id).items()),
            [
                sorted({**vars(t), "_trial_id": 0, "_user_attrs": sorted(t.user_attrs)}.items())
                + sorted(t.user_attrs.items())
                for t in study.get_trials()
            ],
        )
    )


# A copy reads one storage and writes to the other, neither of which knows the other one's kind.
@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("sqlite", "postgresql"),
        ("postgresql", "journal"),
        ("journal", "sqlite"),
        ("sqlite", "sqlite"),
    ],
)
def test_a_copy_is_the_same_in_everything_but_ids(url, opened, source, target):
    old, new = url(source), url(target)
    make_everything(old)
    lines = list(copy_study(Location.here(old), Location.here(new)))
    assert "5 trials of 'all'" in lines[0]
    assert "2 of them weren't finished" in lines[1]
    copied, original = contents(opened(new)), opened(old)
    (running,) = original.get_trials(states=(TrialState.RUNNING,))
    assert LEASE not in running.user_attrs
    original._storage.set_trial_user_attr(running._trial_id, LEASE, {})  # no process runs the copy
    assert copied == contents(original)
    with pytest.raises(InputError, match="holds a study 'all' already"):
        list(copy_study(Location.here(old), Location.here(new)))
    assert contents(opened(new)) == copied


def test_a_copy_leaves_a_study_alone_that_another_program_makes_meanwhile(url, opened, monkeypatch):
    old, new = url("sqlite"), url("sqlite")
    make_everything(old)
    make = optuna.create_study

    def made_before(**settings):
        make(**settings).set_user_attr("of", "another")
        return make(**settings)

    monkeypatch.setattr(optuna, "create_study", made_before)
    with pytest.raises(InputError, match="holds a study 'all' already"):
        list(copy_study(Location.here(old), Location.here(new)))
    assert opened(new).user_attrs == {"of": "another"}


@pytest.mark.parametrize("target", KINDS)
def test_a_copy_that_fails_in_the_middle_leaves_nothing(url, target, monkeypatch):
    old, new = url("sqlite"), url(target)
    make_everything(old)
    storage = open_storage(new, create=True)
    optuna.create_study(study_name="other", storage=storage)
    close_storage(storage)
    add = optuna.Study.add_trial

    def interrupt(study, trial):
        if len(study.trials) == 3:
            raise KeyboardInterrupt
        add(study, trial)

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "add_trial", interrupt)
        with pytest.raises(KeyboardInterrupt):
            list(copy_study(Location.here(old), Location.here(new)))
    storage = open_storage(new)
    assert optuna.get_all_study_names(storage) == ["other"]
    list(copy_study(Location.here(old), Location.here(new)))
    close_storage(storage)
    storage = open_storage(new)
    assert sorted(optuna.get_all_study_names(storage)) == ["all", "other"]
    close_storage(storage)


def test_the_best_model_of_a_copy(search, tmp_path, optnas):
    """Weights are found by the ids of trials, which are others in a copy."""
    from optnas import best_model

    study = search.run(progress=False)
    (tmp_path / "deep").mkdir()
    code, out, _ = optnas("storage", "copy", search.url, "journal:///deep/tiny.journal")
    assert (code, "weights:  deep/tiny_weights" in out) == (0, True)
    shutil.rmtree("tiny_weights")
    elsewhere = dataclasses.replace(search, storage="journal:///deep/tiny.journal")
    copied = elsewhere.open()
    model = best_model(copied, elsewhere)
    best = min(study.trials, key=lambda t: t.values[0])
    assert sum(p.numel() for p in model.parameters()) == best.user_attrs["params"]
    assert copied._storage.get_study_system_attrs(copied._study_id).keys() >= {
        key for key in study._storage.get_study_system_attrs(study._study_id) if "arti" not in key
    }


def test_a_study_file_that_changes_the_working_directory_changes_no_copy(optnas, tmp_path):
    """Source and target are the files that the user's shell would name."""
    study = Path(__file__).parents[1] / "helpers" / "study_tiny.py"
    (tmp_path / "away").mkdir()
    text = study.read_text()
    Path("tiny.py").write_text(f"import os\nos.chdir({str(tmp_path / 'away')!r})\n{text}")
    assert optnas("run", "tiny.py")[0] == 0
    os.chdir(tmp_path)
    code, out, err = optnas("storage", "copy", "tiny.py", "copy.db")
    assert code == 0, err
    assert "4 trials of 'tiny' to sqlite:///copy.db" in out
    assert "weights:  tiny-" in out
    os.chdir(tmp_path)
    assert optnas("status", "copy.db")[0] == 0
    assert not list(Path("away").iterdir())


def test_copies_that_are_refused(optnas, tmp_path):
    make_everything("sqlite:///a.db")
    before = {p.name: p.read_bytes() for p in tmp_path.glob("*.db")}
    for args, message in (
        (["storage", "copy", "sqlite:///none.db", "sqlite:///b.db"], "there is no study at"),
        (["storage", "copy", "sqlite:///a.db", "sqlite:///a.db"], "holds a study 'all' already"),
        (["storage", "copy", "sqlite:///a.db", "sqlite:///no/b.db"], "there is no folder no"),
        (["storage", "copy", "sqlite:///a.db", "b.txt"], "is no URL"),
        (["storage", "copy", "sqlite:///a.db", "sqlite:///b.db", "--name", "x"], "no study 'x'"),
        (["backup", "sqlite:///a.db", "a.db"], "exists already"),
        (["backup", "sqlite:///a.db", "no/b.db"], "there is no folder"),
        (["backup", "sqlite:///none.db", "b.db"], "there is no study at"),
    ):
        code, _, err = optnas(*args)
        assert (code, message in err) == (2, True), err
    assert {p.name: p.read_bytes() for p in tmp_path.glob("*.db")} == before


def test_a_backup_of_another_kind_or_of_a_damaged_file(optnas, tmp_path):
    make_everything("journal:///a.journal")
    code, _, err = optnas("backup", "journal:///a.journal", "b.db")
    assert (code, "copy it with `optnas storage copy`" in err) == (2, True)
    make_everything("sqlite:///a.db")
    with sqlite3.connect("a.db") as connection:
        ((page,),) = connection.execute(
            "SELECT min(rootpage) FROM sqlite_master WHERE tbl_name = 'trial_values'"
        )
    connection.close()
    data = bytearray(Path("a.db").read_bytes())
    data[4096 * (page - 1) : 4096 * page] = b"\xff" * 4096
    Path("a.db").write_bytes(data)
    code, _, err = optnas("backup", "sqlite:///a.db", "b.db")
    assert code == 2
    assert "damaged" in err
    assert sorted(p.name for p in tmp_path.glob("b.db*")) == []


def test_a_backup_while_two_workers_write(optnas, tmp_path):
    url = "sqlite:///study.db"
    study = light_workers.make_study(url)
    assert optnas("backup", url, "before.db")[0] == 0  # the imports would take longer than trials
    copies = ["copy0.db", "copy1.db", "copy2.db"]
    # They work while a copy is made, and wait for it ten trials later at most.
    gates = [(20 * i + 30, f"{copy}.made") for i, copy in enumerate(copies)]
    workers = [held_workers.start(Job(url, 80), gates) for _ in range(2)]
    try:
        for number, made in gates:
            while len(study.get_trials(deepcopy=False)) < number - 10:
                assert all(worker.is_alive() for worker in workers)
                time.sleep(0.01)
            assert optnas("backup", url, made.removesuffix(".made"))[0] == 0
            Path(made).touch()
    finally:
        codes = wait_for(workers)
    assert codes == [0, 0]
    whole = {t.number: t for t in light_workers.checked(study, 80)}
    for name in copies:
        with sqlite3.connect(name) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
        copied = optuna.load_study(study_name="light workers", storage=f"sqlite:///{name}")
        trials = copied.get_trials()
        assert [t.number for t in trials] == list(range(len(trials)))
        finished = [t for t in trials if t.state.is_finished()]
        assert len(finished) > len(trials) - 5
        assert all(t == whole[t.number] for t in finished)
        close_storage(copied._storage)
    close_storage(study._storage)
    assert not list(tmp_path.glob("*.part*"))
