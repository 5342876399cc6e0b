"""A baseline that breaks a bound isn't trained, and sets no reference: a run says so."""

from dataclasses import replace

import pytest
from torch import nn

from optnas.objective.bounds import Bounds, bound_in
from optnas.search.run import run_search

STUDY = """
import torch
from torch import nn

import optnas


def build(trial):
    return nn.Linear(2, trial.suggest_int("width", 4, 6))


def train(model, recipe, report):
    return {"loss": 0.1 * model.out_features}


search = optnas.Search(
    space=optnas.FunctionSpace(build, torch.zeros(1, 2)),
    evaluator=optnas.FunctionEvaluator(train, {"loss": "minimize"}),
    objectives=("loss", "params"),
    constraints={"macs": 1000},
    baselines={"large": lambda: nn.Linear(2, 2000), "small": lambda: nn.Linear(2, 3)},
    sampler="random",
    trials=3,
    seed=0,
)
"""
SAID = "large won't be trained, and sets no reference: macs is 4,000, its bound 1,000"


@pytest.fixture(autouse=True)
def file(tmp_path):
    (tmp_path / "own.py").write_text(STUDY)


def test_a_run_says_so_before_it_begins_and_when_nothing_reached_the_others(optnas):
    code, out, err = optnas("run", "own.py")
    assert code == 0
    assert err.count(f"baseline {SAID}") == 1
    assert (
        "none of the 2 networks that were searched is within the reference (loss ≤ 0.3, params ≤ 9)"
        in out
    )
    assert "--reference" in out

    code, out, err = optnas("resume", "own.py", "--trials", 4, "--reference", "loss=0.7")
    assert code == 0
    assert "won't be trained" not in err  # it was said before the first trial
    assert "is within the reference" not in out

    code, out, _ = optnas("status", "own.py")
    assert "baseline large  not trained: macs is 4,000, its bound 1,000" in out


def test_a_dry_run_says_so(optnas):
    code, out, _ = optnas("run", "own.py", "--dry-run")
    assert code == 0
    assert f"baseline:      {SAID}" in out


def test_limits_that_are_given_stay(search, capsys):
    baselines = {"large": lambda: nn.Linear(2, 50)}
    search = replace(
        search,
        baselines=baselines,
        constraints={"params": 30},
        reference={"loss": 5.0},
        trials=1,
    )
    run_search(search, workers=1, progress=True, accept_changes=False)
    assert (
        "baseline large won't be trained: params is 150, its bound 30\n" in capsys.readouterr().err
    )


def test_a_baseline_that_cannot_be_counted_fails_in_its_trial(search, capsys):
    search = replace(
        search,
        baselines={"broken": lambda: nn.Linear(7, 1)},
        constraints={"macs": 30},
        trials=1,
    )
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        run_search(search, workers=1, progress=True, accept_changes=False)
    assert "won't be trained" not in capsys.readouterr().err


@pytest.mark.parametrize("bound", [0.25, 30.0, 800_000.0, 1e20])
def test_a_bound_is_told_in_full_and_can_be_read_again(bound):
    text = Bounds({"macs": bound}, {"macs": "minimize"}).broken("macs", 2_834_400)
    assert text.startswith("macs is 2,834,400, its bound ")
    assert bound_in(text, "macs") == bound
