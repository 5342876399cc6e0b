"""Searches for a microcontroller: nothing that is over its bounds is trained."""

from dataclasses import replace

import optuna
import pytest
import torch
from optuna.trial import TrialState
from torch import nn

import optnas
from optnas.errors import InputError
from optnas.search.job import overrides_for_workers
from optnas.study.record import Overrides

IMAGE = torch.zeros(1, 1, 32, 32)  # one KiB in int8
TARGET = optnas.Target(ram_kb=9, flash_kb=2)


def build(trial):
    """The peak is 1 + width KiB: the input, and the convolution's output."""
    width = trial.suggest_int("width", 1, 30)
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


@pytest.fixture
def trained():
    """The widths that were trained."""
    return []


@pytest.fixture
def search(trained):
    def train(model, recipe, report):
        trained.append(model[0].out_channels)
        return 1 / model[0].out_channels

    return optnas.Search(
        space=optnas.FunctionSpace(build, IMAGE),
        evaluator=train,
        objectives={"loss": "minimize", "macs": "minimize"},
        target=TARGET,
        trials=6,
        seed=0,
    )


@pytest.mark.parametrize("sampler", ["random", "evolution", "predictor"])
def test_nothing_over_the_target_is_trained(search, trained, sampler):
    study = replace(search, sampler=sampler).run(progress=False)
    complete = [t for t in study.trials if t.state == TrialState.COMPLETE]
    assert len(complete) == 6
    assert {t.params["width"] for t in complete} == set(trained)
    assert max(trained) <= 8
    for trial in complete:
        assert trial.user_attrs["peak_activation_kib.int8"] == 1 + trial.params["width"]
        assert all(excess <= 0 for excess in trial.constraints.values())
    over = [t for t in study.trials if t.state != TrialState.COMPLETE]
    assert all(t.state == TrialState.PRUNED for t in over)
    assert all(t.constraints["peak_activation_kib.int8"] > 0 for t in over)
    # Optuna's sampler draws what is too large; ours know it before.
    assert bool(over) == (sampler == "random")


def test_a_study_of_another_target_is_refused_unless_accepted(search):
    replace(search, trials=1).run(progress=False)
    other = replace(search, target=optnas.Target(ram_kb=20, flash_kb=2), trials=1)
    with pytest.raises(InputError, match=r"peak_activation_kib.int8: 9.0 there, 20.0 here"):
        other.open()
    own = replace(search, target=optnas.Target(9, 2, order="own"), trials=1)
    with pytest.raises(InputError, match=r"peak_activation_kib.int8 order: best there, own here"):
        own.open()
    other.run(progress=False, accept_changes=True)


def test_a_target_is_overridden_and_told_to_workers(search):
    assert search.override(Overrides(target="none")).bounds == {}
    board = search.override(Overrides(target="stm32f746"))
    assert board.target == optnas.Target(320, 1024)
    assert board.override(Overrides(target="ram_kb=1,flash_kb=1")).bounds == {
        "peak_activation_kib.int8": 1.0,
        "flash_kib.int8": 1.0,
    }
    for one in (search, board, replace(search, target=None)):
        text = overrides_for_workers(one)["target"]
        assert search.override(Overrides(target=text)).target == one.target


def test_constraints_hold_next_to_a_target(search):
    both = replace(search, constraints={"peak_activation_kib.int8": 5, "params": 1000})
    assert both.bounds == {
        "peak_activation_kib.int8": 5,
        "params": 1000,
        "flash_kib.int8": 2.0,
    }
    assert replace(both, target=None).bounds == both.constraints


def test_an_unknown_board_is_refused_when_the_search_is_made(search):
    with pytest.raises(InputError, match="unknown board 'stm'"):
        replace(search, target="stm")


def test_a_space_without_networks_has_no_target(search):
    space = optnas.ParameterSpace({"width": [1, 2]})
    with pytest.raises(InputError, match="can't be measured in a ParameterSpace"):
        replace(search, space=space, objectives={"loss": "minimize"})


def test_the_option_of_a_run_is_remembered(optnas, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import torch, optnas\n"
        "def build(trial):\n"
        "    return torch.nn.Conv2d(1, trial.suggest_int('width', 1, 30), 3, padding=1)\n"
        "space = optnas.FunctionSpace(build, torch.zeros(1, 1, 32, 32))\n"
        "search = optnas.Search(space=space, evaluator=lambda m, r, report: 1.0, seed=0,\n"
        "    objectives={'loss': 'minimize'}, trials=1)\n"
    )
    code, _, err = optnas("run", "mine.py", "--target", "stm32f764")
    assert code == 2
    assert "give its memory: --target ram_kb=256,flash_kb=900 (in kibibytes)" in err
    assert optnas("run", "mine.py", "--target", "ram_kb=9,flash_kb=2")[0] == 0
    code, _, err = optnas("resume", "mine.db", "--trials", 4)
    assert code == 0
    assert "--target ram_kb=9,flash_kb=2" in err
    study = optuna.load_study(study_name="mine", storage="sqlite:///mine.db")
    assert all(trial.params["width"] <= 8 for trial in study.trials)
    assert optnas("run", "mine.py", "--target", "none", "--trials", 5)[0] == 2  # another study
