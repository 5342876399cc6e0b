"""A run keeps the files of its study to itself, wherever the user's code goes."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from networks import build_linear, score
from optuna.trial import TrialState

import optnas as package
from optnas.evaluators import FunctionEvaluator
from optnas.search_spaces import FunctionSpace
from optnas.storage.open import close_storage
from optnas.storage.place import place_of
from optnas.storage.sqlite import backup
from optnas.storage.urls import Location
from optnas.study.attributes import KILLED, LEASE, LOST
from optnas.study.copy import copy_study
from optnas.study.leases import lease


def search_of(train, **settings):
    return package.Search(
        space=FunctionSpace(build_linear, torch.zeros(1, 2)),
        evaluator=FunctionEvaluator(train, {"loss": "minimize"}),
        objectives=("loss", "params"),
        sampler="random",
        seed=1,
        name="tiny",
        **{"trials": 1, **settings},
    )


def loss_of(study):
    return [t.values[0] for t in study.trials if t.state == TrialState.COMPLETE]


def test_two_studies_of_one_name_in_one_folder_do_not_share_a_checkpoint():
    def training(own, loss, ends):
        def train(model, recipe, report):
            kept = report.folder / "kept"
            report.folder.mkdir(parents=True, exist_ok=True)
            found = kept.read_text() if kept.exists() else own
            kept.write_text(found)
            if not ends:
                raise KeyboardInterrupt
            return {"loss": loss if found == own else 100.0}

        return train

    def run(own, loss, *, ends=True):
        search = search_of(training(own, loss, ends), storage=f"sqlite:///{own}.db")
        return search.run(progress=False, accept_changes=True)

    with pytest.raises(KeyboardInterrupt):
        run("a", 1.0, ends=False)
    assert loss_of(run("b", 2.0)) == [2.0]
    assert [p.read_text() for p in Path().glob("*_checkpoints/trial0/kept")] == ["a"]
    assert loss_of(run("a", 1.0)) == [1.0]
    assert not list(Path().glob("*_checkpoints"))


def test_a_copy_does_not_wait_for_trials_that_run_in_the_original():
    search = search_of(score)
    study = search.open()
    study.ask().set_user_attr(LEASE, lease(place_of(study._storage)))
    list(copy_study(search.location, Location.here("journal:///copy.journal")))
    backup(Path("tiny.db"), Path("raw.db"))
    in_journal = replace(search, storage="journal:///own.journal").open()
    in_journal.ask().set_user_attr(LEASE, lease(place_of(in_journal._storage)))
    shutil.copy("own.journal", "raw.journal")
    for url in ("journal:///copy.journal", "sqlite:///raw.db", "journal:///raw.journal"):
        copied = replace(search, storage=url).run(progress=False)
        lost, retry = copied.trials
        assert (lost.state, lost.user_attrs[LOST]) == (TrialState.FAIL, KILLED)
        assert retry.state == TrialState.COMPLETE
        close_storage(copied._storage)
    assert study.trials[0].state == TrialState.RUNNING
    close_storage(study._storage)


def test_a_backup_has_files_of_its_own(optnas):
    study = search_of(score).run(progress=False)
    kept = sorted(p.name for p in Path("tiny_weights").iterdir())
    assert optnas("backup", "sqlite:///tiny.db", "b.db")[0] == 0
    study.set_user_attr("later", True)
    close_storage(study._storage)
    (folder,) = Path().glob("tiny-*_weights")
    assert sorted(p.name for p in folder.iterdir()) == kept
    shutil.rmtree("tiny_weights")
    search = search_of(score, storage="sqlite:///b.db")
    assert package.best_model(search.open(), search) is not None


STUDY = """
import os
os.chdir({imported!r})
import torch, optnas
from networks import build_linear, score

def train(model, recipe, report):
    os.chdir({trained!r})
    return score(model, recipe, report)

search = optnas.Search(
    space=optnas.FunctionSpace(build_linear, torch.zeros(1, 2)),
    evaluator=optnas.FunctionEvaluator(train, {{"loss": "minimize"}}),
    objectives=("loss", "params"), sampler="random", trials=3, seed=1, device="cpu", {storage}
)
"""
COMMANDS = (
    ("run", "mine.py"),
    ("run", "mine.py", "--trials", 4),
    ("resume", "sqlite:///mine.db", "--trials", 5),
    ("status", "mine.py"),
    ("report", "mine.py"),
    ("report", "sqlite:///mine.db", "-o", "page.html"),
    ("pareto", "mine.py", "--html", "front.html"),
    ("compare", "mine.py", "mine.db", "--html", "both.html"),
    ("confirm", "mine.py", "--seeds", 1),
    ("export", "mine.py", "--trial", 0, "--format", "safetensors", "-o", "model.safetensors"),
    ("backup", "mine.py", "copy.db"),
)


@pytest.mark.parametrize("storage", ["", "storage='sqlite:///mine.db'"])
def test_paths_stay_where_they_began_when_the_code_changes_the_working_directory(
    optnas, tmp_path, tmp_path_factory, monkeypatch, storage
):
    """The study file changes it when it is imported, and again in a trial."""
    folders = [tmp_path_factory.mktemp(name) for name in ("imported", "trained")]
    imported, trained = map(str, folders)
    Path("mine.py").write_text(STUDY.format(imported=imported, trained=trained, storage=storage))
    for command in COMMANDS:
        monkeypatch.chdir(tmp_path)
        code, _, err = optnas(*command)
        assert code == 0, (command, err)
    assert [list(folder.iterdir()) for folder in folders] == [[], []]

    made = {path.name for path in tmp_path.iterdir()} - {"__pycache__"}
    assert {name for name in made if not name.startswith(("mine-", "mine.db-"))} == {
        *("mine.py", "mine.db", "mine_weights", "mine_front.html", "mine_report.html"),
        *("page.html", "front.html", "both.html", "model.safetensors", "model.safetensors.md"),
        "copy.db",
    }


def test_workers_begin_where_the_run_began(tmp_path, tmp_path_factory, monkeypatch):
    folders = [tmp_path_factory.mktemp(name) for name in ("imported", "trained")]
    imported, trained = map(str, folders)
    Path("mine.py").write_text(STUDY.format(imported=imported, trained=trained, storage=""))
    search = package.load_search("mine.py")
    assert Path.cwd() == folders[0]
    study = search.run(workers=2, progress=False)
    assert len(loss_of(study)) == 3
    close_storage(study._storage)
    assert [list(folder.iterdir()) for folder in folders] == [[], []]
    assert (tmp_path / "mine.db").exists()
