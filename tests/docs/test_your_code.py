"""Training scripts as people write them become studies by ten lines."""

import re
import warnings

import optuna
import pytest
from your_code import NAMES, PAGE, SCRIPTS, changed, changed_for, untouched, written

import optnas

NEEDS = {
    "graph": "torch_geometric",
    "lightning": "lightning",
    "skorch": "skorch",
    "timm": "timm",
    "transformers": "accelerate",  # its Trainer needs both
}
BY_COMMAND = {"argparse", "nanogpt"}
CLOSEST = 10


def test_nine_of_ten_change_by_ten_lines_at_most():
    counts = {name: changed(name) for name in NAMES}
    assert len(counts) == 10
    assert sorted(counts.values())[8] <= CLOSEST, counts


def test_the_page_has_the_diffs_and_counts_of_the_scripts():
    page = PAGE.read_text()
    assert page == written(page), "run python tests/docs/your_code.py"
    shown = re.findall(r"^\| \[[^\]]*\]\(#([\w-]+)\) \|[^|]*\| (\d+) \|", page, re.M)
    assert len(shown) == len(NAMES)
    for name in NAMES:
        kind = "file" if untouched(name) else "diff"
        assert f"<!-- {kind} {name} -->" in page
    assert sorted(int(count) for _, count in shown) == sorted(map(changed, NAMES))


def test_the_page_has_the_counts_of_the_scripts_with_other_packages():
    (shown,) = re.findall(r"^\| Lines added or changed \|(.*)\|$", PAGE.read_text(), re.M)
    counts = [changed("unet"), *map(changed_for, ("optuna", "ax", "syne_tune"))]
    assert [int(count) for count in shown.split("|")] == counts


@pytest.mark.filterwarnings("ignore")  # of the packages
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "nanogpt")) for n in NAMES]
)
def test_a_trial_of_each_study_runs(name, tmp_path, monkeypatch):
    if name in NEEDS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pytest.importorskip(NEEDS[name], exc_type=(ImportError, RuntimeError))
    if name == "transformers":  # it would take the folder tests/datasets for that package
        monkeypatch.setattr("transformers.trainer.is_datasets_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(SCRIPTS / name)
    search = optnas.load_search(SCRIPTS / name / "study.py")
    assert untouched(name) == (name in BY_COMMAND)
    if name == "argparse":  # it would run as nanogpt does, in another process that imports torch
        return
    names = [objective for objective in search.objectives if objective != "latency_ms"]
    objective = optnas.Objective(search.space, search.evaluator, names)
    study = optuna.create_study(directions=objective.directions)
    study.optimize(objective, n_trials=1)
    (trial,) = study.trials
    assert trial.state == optuna.trial.TrialState.COMPLETE, trial.user_attrs
    assert trial.values[2] == sum(p.numel() for p in objective.candidate(trial).model.parameters())
    assert trial.user_attrs["curve"]
