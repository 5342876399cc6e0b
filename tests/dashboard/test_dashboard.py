"""The dashboard: what is pushed into the study, and what its page shows of it."""

import dataclasses
import json
import random
import sqlite3
import threading
import urllib.error
import urllib.request
from pathlib import Path

import optuna
import pytest
from dashboards import add, attributes, figures, files, note, served, update
from optuna.trial import Trial, TrialState, create_trial
from optuna_dashboard import _app, save_note
from optuna_dashboard._pareto_front import get_pareto_front_trials
from torch import nn

from optnas.dashboard import publisher as publishing, server as dashboard
from optnas.dashboard.notes import is_untouched
from optnas.dashboard.publisher import Publisher
from optnas.dashboard.server import make_dashboard
from optnas.errors import InputError
from optnas.pareto.front import front
from optnas.plots import PLOTS
from optnas.storage.open import close_storage
from optnas.study.artifacts import DRAWING, ONNX, WEIGHTS, WeightStore

STUDY = Path(__file__).parents[1] / "helpers" / "study_tiny.py"


def test_figures_come_in_our_order_and_then_those_of_others(publisher, study, monkeypatch):
    monkeypatch.setattr(dashboard, "PLOTS", [p._replace(key=k) for p in PLOTS[:1] for k in "zmbqa"])
    for key in ("mine", *"abmqz"):
        name = key if key == "mine" else f"optnas-{key}"
        optuna_figure = publishing.go.Figure()
        publishing.save_plotly_graph_object(study, optuna_figure, graph_object_id=name)
    with served(study) as url:
        api = url.replace("/dashboard/", "/api/")
        found = json.load(urllib.request.urlopen(api))["plotly_graph_objects"]
    assert [graph["id"] for graph in found] == [*(f"optnas-{k}" for k in "zmbqa"), "mine"]


def test_what_is_stored_is_what_an_old_plotly_reads_in_the_space_there_is(publisher, study):
    update(publisher)
    assert "bdata" not in str(figures(study))
    assert all("height" not in figure["layout"] for figure in figures(study).values())


def test_an_update_writes_only_what_has_changed(publisher, study):
    assert update(publisher) > len(front(study))
    before = attributes(study)
    assert update(publisher) == 0
    assert attributes(study) == before
    again = Publisher(study, Path("tiny_weights"), publisher._search)
    update(again)  # another dashboard, later
    assert attributes(study) == before

    add(study, [9.0, 9.0, 9.0, 9.0])  # behind all others
    update(publisher)
    after = attributes(study)
    changed = {key for key in after if after[key] != before.get(key)}
    assert {key.split(":")[1] for key in changed} == {"plot_data"}
    assert "9.0" in str(figures(study)["optnas-pareto"]["data"])


def test_a_trial_that_leaves_the_front_loses_its_files_and_its_note_says_so(publisher, study):
    first = add(study, [0.0, 5.0, 5.0, 5.0], "first")
    edited = add(study, [5.0, 0.0, 5.0, 5.0], "edited")
    update(publisher)
    assert note(study, first).startswith("On the **Pareto front** of loss, params, flops, macs.")
    live = Trial(study, edited._trial_id)
    save_note(live, f"{note(study, edited)}\nMine.")
    store = WeightStore("tiny_weights")
    for name in (DRAWING, ONNX):
        store.add(study, first._trial_id, name, lambda path: path.write_text("x"))
    assert files(study, first) == {DRAWING, ONNX}
    count = len(list(Path("tiny_weights").iterdir()))

    best = add(study, [-1.0, -1.0, -1.0, -1.0], "best")
    update(publisher)
    assert note(study, best).startswith("On the **Pareto front**")
    assert note(study, first).startswith(
        f"Not on the Pareto front of loss, params, flops, macs any more: trial {best.number} "
    )
    assert is_untouched(note(study, first))
    assert note(study, edited).endswith("\nMine.")
    assert files(study, first) == set()
    assert len(list(Path("tiny_weights").iterdir())) < count
    weights = {i for i, name in store.kept(study) if name == WEIGHTS}
    assert weights  # whose they are is the workers' business


def test_weights_that_were_changed_are_named_once(publisher, study, caplog):
    changed, _, *_ = (t for t in front(study) if WEIGHTS in files(study, t))
    WeightStore("tiny_weights").weights_path(study, changed._trial_id).write_bytes(b"other")
    update(publisher)
    update(publisher)
    (told,) = (r.getMessage() for r in caplog.records if "was changed" in r.getMessage())
    assert told.startswith(f"trial {changed.number}: ")


def test_an_onnx_file_of_the_newest_member_comes_first(search):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    study = search.run(progress=False)
    publisher = Publisher(study, Path("tiny_weights"), search)
    newest = front(study)[-1]
    for _ in publisher.update():
        if ONNX in files(study, newest):
            break
    made = [name for _, name in WeightStore("tiny_weights").kept(study)]
    assert made.count(ONNX) == 1
    (meta,) = (m for v in attributes(study).values() if "model.onnx" in (m := str(v)))
    onnx.checker.check_model(onnx.load(Path("tiny_weights", json.loads(meta)["artifact_id"])))
    close_storage(study._storage)


def test_a_network_that_cant_be_written_is_told_of_once(search, caplog, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(publishing, "export_model", refuse)
    monkeypatch.setattr(publishing, "has_onnx", lambda: True)
    study = search.run(progress=False)
    publisher = Publisher(study, Path("tiny_weights"), search)
    assert len(front(study)) > 1
    update(publisher)
    assert update(publisher) == 0
    assert [r.getMessage().split(" has ")[1] for r in caplog.records] == [
        "no model.onnx: RuntimeError: no such operator"
    ]
    assert len(list(Path("tiny_weights").iterdir())) == len(WeightStore("tiny_weights").kept(study))
    close_storage(study._storage)


def test_a_storage_that_fails_is_told_of_once_and_tried_again(publisher, study, caplog):
    """The stop is a clock here: how often was waited for."""

    class Stop(threading.Event):
        waits = 0

        def wait(self, timeout=None):
            self.waits += 1
            if self.waits == 3:
                patch.undo()
            if self.waits == 30:
                self.set()
            return self.is_set()

    def fail(*_):
        raise sqlite3.OperationalError("database is locked")

    patch = pytest.MonkeyPatch()
    patch.setattr(study._storage, "set_study_system_attr", fail)
    dashboard._publish(publisher, Stop(), lambda: publisher)
    assert [r.getMessage() for r in caplog.records] == [
        "figures, notes or files can't be brought up to date just now: "
        "another program has it locked: database is locked"
    ]
    assert figures(study)


def test_a_study_that_is_begun_anew_is_opened_again(search):
    """SQLite gives its trials the numbers of the old ones, which Optuna's storage remembers."""
    old = dataclasses.replace(search, constraints={"params": 0}).open()
    old.add_trial(create_trial(state=TrialState.FAIL))
    publisher = Publisher(old, Path("tiny_weights"))
    assert publisher.is_current()
    new = search.run(progress=False)
    assert not publisher.is_current()
    stop = threading.Event()

    def reopened():
        stop.set()  # after this update
        return Publisher(new, Path("tiny_weights"))

    dashboard._publish(publisher, stop, reopened)
    assert stop.is_set()
    current = Publisher(new, Path("tiny_weights"))
    optuna.delete_study(study_name=new.study_name, storage=new._storage)
    assert not current.is_current()
    for study in (old, new):
        close_storage(study._storage)


def test_why_a_part_of_the_page_is_missing_is_said_once_in_a_line(publisher, study, caplog):
    dashboard._SHORT._said.clear()
    key = f"dashboard:artifacts:{study.trials[0]._trial_id}:x"
    study._storage.set_study_system_attr(study._study_id, key, "no json")
    with served(study) as url:
        for _ in range(2):
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(url.replace("/dashboard/", "/api/"))
    assert caplog.messages == [
        "a part of the page can't be shown: Expecting value: line 1 column 1 (char 0)"
    ]


def test_a_journal_is_written_to_seldom(search):
    search = dataclasses.replace(search, storage="journal:///tiny.journal")
    study = search.run(progress=False)
    publisher = Publisher(study, Path("tiny_weights"), search)
    assert publisher.pause > 10 * publishing.PAUSE
    next(publisher.update())
    assert figures(study)


@pytest.mark.parametrize("objectives", [1, 2, 4])
def test_the_front_of_the_page_is_that_of_optuna(objectives):
    rng = random.Random(objectives)
    study = optuna.create_study(
        directions=["minimize", "maximize", "minimize", "maximize"][:objectives]
    )
    for _ in range(60):
        add(study, [float(rng.randrange(6)) for _ in range(objectives)])
    study.add_trial(create_trial(state=TrialState.FAIL))
    expected = get_pareto_front_trials(study.trials, study.directions)
    found = dashboard._front(study.trials, study.directions)
    assert [t.number for t in found] == sorted(t.number for t in expected)
    make_dashboard(study._storage, Path(), port=0).server_close()
    assert _app.get_pareto_front_trials is dashboard._front


def test_damaged_and_foreign_entries_are_left_alone(publisher, study):
    """They name paths, or aren't entries; the rest is brought up to date, and the files stay."""
    outside = Path("victim.txt").resolve()
    outside.write_text("precious")
    Path("tiny_weights/folder").mkdir(parents=True, exist_ok=True)
    trial = next(t for t in study.trials if t not in front(study))._trial_id
    good = {"artifact_id": "x", "filename": DRAWING, "mimetype": "x", "encoding": None}
    damaged = ["no json", "3", "[]", '"text"', "{}", json.dumps({"filename": DRAWING}), 7]
    damaged += [
        json.dumps(good | {"artifact_id": name})
        for name in ("../victim.txt", str(outside), "", ".", "folder", None, 3, ["a"])
    ]
    damaged.append(json.dumps(good | {"filename": ["a"]}))
    other = "0b5d7cf0-8e0a-4a36-8d8e-2f0d1a4f6c11"  # the file of an entry with another key
    Path("tiny_weights", other).write_bytes(b"")
    damaged.append(json.dumps(good | {"artifact_id": other, "filename": WEIGHTS}))
    for i, entry in enumerate(damaged):
        study._storage.set_study_system_attr(
            study._study_id, f"dashboard:artifacts:{trial}:{i}", entry
        )
    member = front(study)[0]._trial_id
    for key in ("artifacts:", "artifacts:x:y", f"{member}:note_ver"):
        study._storage.set_study_system_attr(study._study_id, f"dashboard:{key}", json.dumps(good))
    before = len(attributes(study))
    update(publisher)
    assert outside.read_text() == "precious"
    assert len(attributes(study)) > before
    assert all(note(study, t) for t in front(study) if t._trial_id != member)
    assert all(DRAWING in files(study, t) for t in front(study))
    for i, entry in enumerate(damaged):
        assert attributes(study)[f"dashboard:artifacts:{trial}:{i}"] == entry
    with pytest.raises(InputError, match="no weights are kept"):
        WeightStore("tiny_weights").load(study, trial, nn.Linear(1, 1))
