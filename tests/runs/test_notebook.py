"""What a notebook shows of a run, a search, a front and a profile; IPython is a stand-in."""

import copy
import pickle
import subprocess
import sys
import types
from html.parser import HTMLParser

import optuna
import pytest
import torch

import optnas
from optnas.metrics import profile
from optnas.runs import bars
from optnas.runs.bars import NotebookLine
from optnas.utils import html, notebook


class Outputs:
    """The outputs of a cell: what each shows, and how often it was replaced."""

    def __init__(self):
        self.shown, self.updates = [], 0

    def display(self, thing, display_id=False):
        number = len(self.shown)
        self.shown.append(thing)

        def update(new):
            self.shown[number], self.updates = new, self.updates + 1

        return types.SimpleNamespace(update=update) if display_id else None


@pytest.fixture
def outputs(monkeypatch):
    found = Outputs()
    ipython, display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    ipython.display = display
    display.display, display.HTML = found.display, str
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return found


class Cells(HTMLParser):
    """The texts of all cells of a page, in rows; unclosed elements fail."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.open, self.tags = [], [], set()
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def test_a_run_is_one_line_that_changes_and_then_the_front(search, outputs, capsys):
    study = search.run()
    line, front = outputs.shown  # two outputs, whatever the number of trials
    assert "6/6 trials" in line
    assert "<progress value='6' max='6'" in line
    assert outputs.updates >= 6
    assert front == optnas.front(study)
    assert capsys.readouterr().err == ""
    outputs.shown.clear()
    search.run(progress=False)
    assert outputs.shown == []


def test_failures_are_messages_below_the_line(outputs, space, monkeypatch):
    def fit(model, recipe, report):
        if sum(p.numel() for p in model.parameters()) > 8:
            raise optnas.CandidateError("too <large>")
        return {"loss": 1.0}

    evaluator = optnas.FunctionEvaluator(fit, {"loss": "minimize"})
    optnas.Search(
        space=space,
        evaluator=evaluator,
        objectives=("loss", "params"),
        sampler="random",
        seed=1,
        trials=2,
        max_failures=50,
        storage=optuna.storages.InMemoryStorage(),
    ).run()
    assert "fail: too &lt;large&gt;" in outputs.shown[0]


def test_epochs_change_the_line_seldom_and_ends_of_trials_always(outputs, monkeypatch):
    monkeypatch.setattr(bars, "OFTEN", 1e9)
    with NotebookLine(5, 0, "") as line:
        for _ in range(100):
            line.show("an epoch")
        assert outputs.updates == 0
        line.show("a trial", 1)
        assert outputs.updates == 1
        line.show("the last epoch")
    assert "the last epoch" in outputs.shown[0]
    for i in range(30):
        line.say(f"message {i}")
    assert "(10 earlier messages)" in outputs.shown[0]
    assert "message 9<" not in outputs.shown[0]


def test_ipython_is_not_imported_to_look_for_a_notebook():
    code = "import sys, optnas.runs.progress as p; p.Progress(); print('IPython' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert not notebook.in_notebook()


def test_ipython_on_a_terminal_is_no_notebook(outputs):
    assert notebook.in_notebook()
    sys.modules["IPython"].get_ipython = lambda: types.SimpleNamespace()
    assert not notebook.in_notebook()
    sys.modules["IPython"].get_ipython = lambda: None
    assert not notebook.in_notebook()


def test_a_run_elsewhere_says_where_the_front_is(search, capsys):
    study = search.run()
    n = len(optnas.front(study))
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"the front has {n} network")
    assert "optnas.front(study)" in last


def test_a_search_shows_settings_size_storage_and_state(search, tmp_path):
    facts = dict(Cells(search._repr_html_()).rows)
    assert facts["state"] == "not begun: run() begins it"
    assert not [*tmp_path.iterdir()]  # nothing was made
    assert facts["networks"] == "12"
    assert facts["objectives"] == "loss, params"
    search.run(progress=False)
    facts = dict(Cells(search._repr_html_()).rows)
    assert facts["state"] == "6 of 6 trials done (6 complete)"
    assert facts["networks"] == "12"
    (tmp_path / "tiny.db").write_text("no database")
    assert "can't be opened" in dict(Cells(search._repr_html_()).rows)["state"]


def test_a_password_is_not_shown(space, evaluator):
    search = optnas.Search(
        space=space,
        evaluator=evaluator,
        objectives=("loss", "params"),
        storage="postgresql://me:hidden@127.0.0.1:9/x",
    )
    assert "hidden" not in search._repr_html_()


def test_a_front_is_a_table_sorted_by_the_first_objective(search):
    study = search.run(progress=False)
    front = optnas.front(study)
    head, *rows = Cells(front._repr_html_()).rows
    assert head == ["trial", "loss", "params", "architecture"]
    assert [int(row[0]) for row in rows] == [
        t.number for t in sorted(front, key=lambda t: t.values[0])
    ]
    assert isinstance(front, list)
    assert copy.deepcopy(front) == pickle.loads(pickle.dumps(front)) == front
    empty = optuna.create_study()
    assert "has no COMPLETE trial yet" in optnas.front(empty)._repr_html_()


def test_a_maximised_objective_has_its_best_above():
    study = optuna.create_study(directions=["maximize", "minimize"])
    for value in (1, 3, 2):
        study.add_trial(optuna.trial.create_trial(values=[value, value]))
    rows = Cells(optnas.front(study)._repr_html_()).rows[1:]
    assert [row[1] for row in rows] == ["3", "2", "1"]


def test_a_profile_has_the_numbers_of_its_text():
    found = profile(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU()), torch.ones(1, 4))
    cells = Cells(found._repr_html_()).rows
    printed = str(found).splitlines()
    lines = [line for line in printed[: len(cells) + 2] if "─" not in line]
    for row, line in zip(cells, lines, strict=True):
        assert " ".join(row).split() == line.split()


def test_nothing_in_a_table_acts():
    text = "<script>alert(1)</script>&\x1b[31m"
    made = html.table([text], [[text]], title=text, notes=[text])
    found = Cells(made)
    assert "script" not in found.tags
    assert found.rows == [[text.replace("\x1b", "\\x1b")]] * 2
    study = optuna.create_study(study_name=text)
    study.add_trial(optuna.trial.create_trial(value=1.0, user_attrs={"architecture": text}))
    assert "script" not in Cells(optnas.front(study)._repr_html_()).tags
