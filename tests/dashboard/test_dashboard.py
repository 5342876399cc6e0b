"""The dashboard: what is pushed into the study, and what its page shows of it."""

import dataclasses
import json
import random
import signal
import sqlite3
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
from command_line import start
from dashboards import attributes, drawable, figures, served, update
from optuna.trial import Trial, TrialState, create_trial
from optuna_dashboard import _app, get_note, save_note
from optuna_dashboard._pareto_front import get_pareto_front_trials
from torch import nn
from warm import Command

from optnas.dashboard import publisher as publishing, server as dashboard
from optnas.dashboard.notes import Notes, is_untouched, marked
from optnas.dashboard.publisher import Publisher
from optnas.dashboard.server import make_dashboard
from optnas.errors import InputError
from optnas.pareto.front import front
from optnas.plots import PLOTS
from optnas.storage.open import close_storage, open_storage
from optnas.study.artifacts import DRAWING, ONNX, WEIGHTS, WeightStore
from optnas.study.attributes import ARCHITECTURE
from optnas.utils.markdown import plain, wrapped

STUDY = Path(__file__).parents[1] / "helpers" / "study_tiny.py"


def note(study, trial):
    return get_note(Trial(study, trial._trial_id))


def files(study, trial):
    return {name for i, name in WeightStore("tiny_weights").kept(study) if i == trial._trial_id}


def add(study, values, name="new", **attrs):
    study.add_trial(create_trial(values=values, user_attrs={ARCHITECTURE: name, **attrs}))
    return study.trials[-1]


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


@pytest.mark.parametrize("text", ["Mine.", ""])
def test_notes_of_people_stay(publisher, study, text):
    update(publisher)
    member, *others = front(study)
    save_note(Trial(study, member._trial_id), text)
    other = next(t for t in study.trials if t not in [member, *others])
    save_note(Trial(study, other._trial_id), "On one that isn't on the front.")
    add(study, [-1.0, -1.0, -1.0, -1.0])
    update(publisher)
    assert note(study, member) == text
    assert note(study, other) == "On one that isn't on the front."
    assert all("any more" in note(study, t) for t in others)


def test_a_note_that_was_never_finished_is_written_again(publisher, study):
    member = front(study)[0]
    study._storage.set_study_system_attr(
        study._study_id, f"dashboard:{member._trial_id}:note_ver", 1
    )
    update(publisher)
    assert is_untouched(note(study, member))


def test_a_mark_belongs_to_one_text():
    text = marked("a\n\n| b |")
    assert is_untouched(text)
    assert is_untouched(f"{text}\n")
    for other in ("", "a", text.replace("a", "A"), f"{text}\n\nmore", text[:-4] + "000)"):
        assert not is_untouched(other)


def test_the_note_says_what_there_is_to_say(publisher, study):
    trial = study.trials[1]
    text = Notes(study).of(trial)
    assert "FunctionEvaluator" in text
    assert "flops = 2 · macs; macs = multiply-accumulates" in text
    for name, value in trial.params.items():
        assert f"| {name} | {value} |" in text
    again = add(study, [0.0, 0.0, 0.0, 0.0], trial.user_attrs[ARCHITECTURE])
    text = Notes(study).of(again)
    assert "On the **Pareto front** of loss, params, flops, macs. " in text
    assert "Of 1 baselines it dominates: small (trial 0)." in text
    others = [t.number for t in study.trials if t.params == trial.params]
    assert f"other trials of it: {', '.join(map(str, others))}" in text


def test_text_in_markdown_is_on_one_line_and_plain_names_stay_as_they_are():
    assert plain("layer1.kernel_size") == "layer1.kernel_size"
    assert plain("a\n# b") == r"a \# b"
    assert plain("_a_ <b>") == r"\_a\_ \<b\>"
    assert plain("https://a.b") == "https:\u2060//a.b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a", r"\- a"),
        ("1. a", r"1\. a"),
        ("1.5 a", "1.5 a"),
        ("--- ===", "\\---\\\n\\==="),
        ("|a| |-|", "\\|a|\\\n\\|-|"),
        ("", ""),
    ],
)
def test_no_line_of_wrapped_text_begins_a_block(text, expected):
    assert wrapped(text, 5) == expected


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
    monkeypatch.setattr(publishing, "find_spec", lambda _: True)
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


def test_only_the_newest_members_of_a_large_front_have_notes(publisher, study, monkeypatch):
    monkeypatch.setattr(publishing, "MEMBERS", 2)
    trials = [add(study, [-float(i), float(i), 0.0, 0.0], f"m{i}") for i in range(5)]
    update(publisher)
    assert [bool(note(study, t)) for t in trials] == [False] * 3 + [True] * 2


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


def test_notes_are_copied_to_the_trials_they_belong_to(publisher, study, optnas):
    update(publisher)
    storage = open_storage("sqlite:///b.db", create=True)
    optuna.create_study(study_name="other", storage=storage).add_trials(study.trials[:0])
    optuna.load_study(study_name="other", storage=storage).ask()  # ids differ by one
    assert optnas("storage", "copy", "sqlite:///tiny.db", "sqlite:///b.db")[0] == 0
    copied = optuna.load_study(study_name="tiny", storage=storage)
    assert copied.trials[0]._trial_id != study.trials[0]._trial_id
    assert [note(copied, t) for t in copied.trials] == [note(study, t) for t in study.trials]
    assert [files(copied, t) for t in copied.trials] == [files(study, t) for t in study.trials]
    close_storage(storage)


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


@contextmanager
def ended(process):
    """The address that `optnas dashboard` prints; in the end it stops with no error."""
    try:
        yield process.stdout.readline().split()[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def test_the_command_publishes_in_the_background(optnas, tmp_path):
    """Of a study whose file isn't given there are figures and notes."""
    (tmp_path / "tiny.py").write_text(STUDY.read_text())
    assert optnas("run", "tiny.py")[0] == 0
    study = optuna.load_study(study_name="tiny", storage=open_storage("sqlite:///tiny.db"))
    process = Command("dashboard", "sqlite:///tiny.db", "--port", 0)
    with ended(process) as url:
        assert url.endswith(f"/dashboard/studies/{study._study_id}")
        assert process.stderr.readline().startswith("no drawings and no ONNX files: looking at")
        while not all(note(study, t) for t in front(study)):
            assert process.wait(0.1) is None
    assert figures(study).keys() == drawable(study)
    close_storage(study._storage)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="how root is bound is Linux's")
def test_the_command_on_what_can_only_be_read(optnas, tmp_path):
    from privileges import without_privileges

    (tmp_path / "tiny.py").write_text(STUDY.read_text())
    assert optnas("run", "tiny.py")[0] == 0
    tmp_path.chmod(0o500)
    try:
        process = start("dashboard", "tiny.py", "--port", 0, preexec_fn=without_privileges)
        with ended(process) as url:
            found = urllib.request.urlopen(url.replace("/dashboard/", "/api/")).read().decode()
            assert "weights.safetensors" in found
            assert "is read-only" in process.stderr.readline()
    finally:
        tmp_path.chmod(0o700)
