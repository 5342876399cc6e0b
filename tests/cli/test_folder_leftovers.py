"""What deleted studies leave in a folder is named, and removed; nothing else ever is."""

import contextlib
import io
import os
import shutil
import sqlite3
import time
import uuid
from pathlib import Path

import optuna
import pytest
import torch

from optnas.evaluators.supernet_folder import WEIGHTS as SUPERNET
from optnas.storage import sqlite
from optnas.storage.open import close_storage, open_storage
from optnas.storage.urls import Location
from optnas.study.artifacts import WeightStore
from optnas.study.folders import FILES, new_files

OLD = time.time() - 1e5


def make(url, *names):
    storage = open_storage(url, create=True)
    studies = [optuna.create_study(study_name=name, storage=storage) for name in names]
    files = [new_files(study, Location.here(url)) for study in studies]
    close_storage(storage)
    return files


def fill(name, folder="."):
    """Files as optnas writes them, a day old."""
    weights = Path(folder, f"{name}_weights")
    weights.mkdir(exist_ok=True)
    torch.save(torch.nn.Linear(1, 1).state_dict(), weights / str(uuid.uuid4()))
    for inside in ("checkpoints/trial3/training.pt", "retrained/trial1_2epochs_0a1b2c3d/seed0.pt"):
        path = Path(folder, f"{name}_{inside}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    age(folder)


def age(folder=".", when=OLD):
    for path in [*Path(folder).rglob("*")]:
        if not path.is_symlink():
            os.utime(path, (when, when))


def tree():
    return sorted(
        str(path) for path in Path().rglob("*") if not path.name.endswith(("-wal", "-shm"))
    )


@pytest.fixture
def kept(optnas):
    """Nothing disappears, whatever is said."""

    def check(*args, code=0):
        before = tree()
        found, out, err = optnas("storage", "clean", ".", *args, "--yes")
        assert found == code, out + err
        assert tree() == before
        return out + err

    return check


@pytest.mark.parametrize("url", ["sqlite:///{}.db", "sqlite:///{}.backup", "journal:///{}.log"])
@pytest.mark.parametrize("name", ["digits", "two words", "exp/1", "größe", "a%b"])
def test_the_files_of_a_study_are_kept(kept, url, name):
    (files,) = make(url.format("any"), name)
    fill(files.name)
    kept()


def test_the_files_of_a_renamed_a_moved_and_a_second_study_of_a_name_are_kept(kept):
    (one,) = make("sqlite:///digits.db", "digits")
    (two,) = make("journal:///digits.journal", "digits")
    fill(one.name)
    fill(two.name)
    shutil.copyfile("digits.db", "backup of digits.db")
    os.rename("digits.db", "other.x")
    with sqlite3.connect("other.x") as connection:
        connection.execute("UPDATE studies SET study_name = 'new'")
    connection.close()
    kept()


def test_a_study_that_hasnt_decided_on_its_files_keeps_those_of_its_name(kept):
    storage = open_storage("sqlite:///any.db", create=True)
    optuna.create_study(study_name="digits", storage=storage)
    close_storage(storage)
    fill("digits")
    kept()


def test_a_folder_that_users_code_gave_a_study_is_kept(kept):
    storage = open_storage("sqlite:///any.db", create=True)
    study = optuna.create_study(study_name="digits", storage=storage)
    study.set_user_attr(FILES, {"name": "digits", "place": ""})
    study.add_trial(optuna.trial.create_trial(value=1))
    WeightStore("paper_weights").save(study, study.trials[0]._trial_id, torch.nn.Linear(1, 1))
    close_storage(storage)
    age()
    kept()


def damaged(path):
    make(f"sqlite:///{path}", "digits")
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 200_000)


FAULTS = {
    "damaged.db": damaged,
    "cut.db": lambda path: Path(path).write_bytes(b"SQLite format 3\0"),
    "text.db": lambda path: Path(path).write_text("hello"),
    "empty.sqlite": lambda path: Path(path).touch(),
    "torn.journal": lambda path: Path(path).write_text('{"op_code": 0}\nxxx\n{"op_code": 0}\n'),
    "gone.x": lambda path: Path(path).symlink_to("elsewhere.db"),
    "made.db": lambda path: sqlite3.connect(path).execute("PRAGMA journal_mode=WAL"),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("file", FAULTS)
def test_nothing_is_removed_while_a_database_cant_be_read(kept, optnas, file):
    FAULTS[file](file)
    fill("digits")
    said = kept(code=2)
    assert file in said
    assert "nothing is removed" in said
    assert optnas("status", ".")[0] == 2


def test_nothing_is_removed_while_a_database_is_locked(kept, monkeypatch):
    monkeypatch.setattr(sqlite, "SLOW", 0.01)
    make("sqlite:///other.db", "other")
    fill("digits")
    holder = sqlite3.connect("other.db", isolation_level=None)
    holder.execute("PRAGMA journal_mode=DELETE")
    holder.execute("BEGIN EXCLUSIVE")
    said = kept(code=2)
    holder.close()
    assert "locked" in said
    assert "nothing is removed" in said


def test_the_logs_of_a_killed_run_are_no_databases(optnas):
    """Reading its database removes them."""
    make("sqlite:///live.db", "digits")
    with contextlib.closing(sqlite3.connect("live.db")) as live:
        live.execute("UPDATE alembic_version SET version_num = version_num")
        live.commit()
        for end in ("", "-wal", "-shm"):
            shutil.copy(f"live.db{end}", f"killed.db{end}")
    code, out, err = optnas("status", ".")
    assert (code, err) == (0, "")
    assert "killed.db" in out
    assert not Path("killed.db-wal").exists()


def test_what_has_a_tag_is_removed_only_by_name(kept, optnas):
    fill("digits-1a2b3c4d")
    assert "a study on a server may have it" in kept()
    assert optnas("storage", "clean", ".", "./digits-1a2b3c4d_weights/", "--yes")[0] == 0
    assert not Path("digits-1a2b3c4d_weights").exists()
    assert Path("digits-1a2b3c4d_checkpoints").exists()


def test_what_changed_within_an_hour_protects_all_of_its_name(kept):
    fill("digits")
    os.utime("digits_checkpoints/trial3/training.pt")
    assert "changed within the last hour" in kept()
    kept("digits_weights", code=2)
    age(when=time.time() + 1e5)  # of a clock that was set back
    kept()


def test_what_optnas_didnt_write_is_kept(kept):
    for path in (
        "paper_logs/notes.txt",
        "more_logs/rank-worker1.log",
        "my_weights/bert.safetensors",
        f"some_weights/{uuid.uuid4()}",
        "old_checkpoints/trial1/best.pt",
        f"deep_weights/x/{uuid.uuid4()}",
        "his_retrained/results.json",
        "our_shared/data.csv",
    ):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("mine")
    Path("thesis_report.html").write_text("<html><title>thesis</title>")
    Path("empty_logs").mkdir()
    Path("pretrained_weights").mkdir()
    Path("x_weights").touch()
    Path("_weights").mkdir()
    Path("two\nlines_weights").mkdir()  # optnas writes such names as in URLs
    Path("y_front.html").mkdir()
    age()
    kept()
    kept("paper_logs", code=2)
    kept("../x_weights", code=2)


def test_logs_of_workers_and_of_the_server_that_forks_them_go_with_the_weights(kept, optnas):
    Path("digits_logs").mkdir()
    for name in ("here-worker1.log", "here-server.log"):
        Path("digits_logs", name).write_text("Traceback")
    age()
    assert "it may be yours" in kept()
    fill("digits")
    assert optnas("storage", "clean", ".", "--yes")[0] == 0
    assert not tree()


def test_a_report_under_a_name_of_its_own_is_kept_and_any_page_alone(kept, optnas):
    make("sqlite:///digits.db", "digits")
    assert optnas("report", "digits.db", "-o", "thesis_report.html")[0] == 0
    shutil.copyfile("thesis_report.html", "digits_report.html")
    Path("digits.db").unlink()
    age()
    said = kept()
    assert "thesis" not in said
    assert "digits_report.html" in said
    fill("thesis")
    fill("digits")
    assert optnas("storage", "clean", ".", "--yes")[0] == 0
    assert Path("thesis_report.html").exists()
    assert not Path("digits_report.html").exists()


def test_links_arent_followed(kept, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    fill("digits", outside)
    Path("digits_weights").symlink_to(outside / "digits_weights")
    Path("other_checkpoints").mkdir()
    Path("other_checkpoints/trial1").symlink_to(outside / "digits_checkpoints/trial3")
    before = sorted(outside.rglob("*"))
    kept()
    assert sorted(outside.rglob("*")) == before


def command_folder(path):
    """What a command that was killed leaves; its own files may be anything."""
    Path(path, "files/logs").mkdir(parents=True)
    for name in ("lock", "curve.jsonl", "output.log", "output_tail.log", "files/logs/a\nb.log"):
        Path(path, name).touch()
    Path(path, "files/last.pt").symlink_to("/etc/hosts")
    os.utime(Path(path, "files/last.pt"), (OLD, OLD), follow_symlinks=False)


def test_the_folders_of_commands_that_were_killed_are_removed_and_what_looks_like_them_is_not(
    kept, optnas
):
    fill("digits")
    command_folder("digits_checkpoints/trial4")
    command_folder("digits_retrained/trial4_0a1b2c3d/seed0")
    command_folder("unlocked_checkpoints/trial1")
    Path("unlocked_checkpoints/trial1/lock").unlink()
    command_folder("mine_checkpoints/trial1")
    Path("mine_checkpoints/trial1/notes.txt").touch()
    age()
    assert "digits_checkpoints" in optnas("status", ".")[1]
    assert optnas("storage", "clean", ".", "--yes")[0] == 0
    assert {path.split("_")[0] for path in tree()} == {"unlocked", "mine"}
    assert Path("/etc/hosts").exists()
    kept()


def test_leftovers_are_named_with_their_size_and_removed_when_the_user_agrees(optnas, monkeypatch):
    (files,) = make("sqlite:///kept.db", "kept")
    fill(files.name)
    make("sqlite:///digits two.db", "digits two")
    Path("digits two.db").unlink()
    Path("digits two_shared").mkdir()
    Path("digits two_shared", SUPERNET).write_bytes(bytes(2500))
    fill("digits two")
    Path("link").symlink_to(".")
    code, out, _ = optnas("status", "link")
    assert code == 0
    assert out.splitlines()[1].split() == ["kept", "kept.db", "0", "not", "running"]
    assert "digits two_shared  2.5 kB" in out
    assert "kept_weights" not in out
    assert "remove them: optnas storage clean link" in out
    for answer, expected in ((False, 1), (True, 0)):
        monkeypatch.setattr("typer.confirm", lambda _, answer=answer: answer)
        code, out, _ = optnas("storage", "clean", "link")
        assert code == expected
        assert [path.exists() for path in map(Path, ("digits two_weights", "kept_weights"))] == [
            not answer,
            True,
        ]
    assert not [path for path in tree() if path.startswith("digits two_")]


def test_nobody_there_to_answer_removes_nothing(optnas, monkeypatch):
    fill("digits")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, _, err = optnas("storage", "clean", ".")
    assert (code, "give --yes" in err) == (2, True)
    assert Path("digits_weights").exists()


def test_a_failure_in_the_middle_says_what_is_removed_and_what_isnt(optnas, monkeypatch):
    fill("digits")
    unlink = Path.unlink

    def failing(path, **settings):
        if path.name == "seed0.pt":
            raise PermissionError(13, "Permission denied")
        unlink(path, **settings)

    monkeypatch.setattr(Path, "unlink", failing)
    code, out, err = optnas("storage", "clean", ".", "--yes")
    assert code == 1
    assert "removed: digits_weights" in out
    assert "removed: digits_checkpoints" in out
    assert "not removed: digits_retrained: Permission denied" in err
    assert Path("digits_retrained/trial1_2epochs_0a1b2c3d/seed0.pt").exists()


def test_a_folder_without_anything_is_one_sentence(optnas):
    Path("a folder").mkdir()
    assert optnas("status", "a folder")[1] == (
        "there are no studies in a folder, and no files of deleted ones\n"
    )
    assert "nothing to remove" in optnas("storage", "clean", "a folder", "--yes")[1]
    assert optnas("storage", "clean", "nowhere", "--yes")[0] == 2
