"""A dry run: what it finds, against what a run does, and that it writes nothing."""

import sys
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import optuna
import pytest
import torch
from optuna.storages import InMemoryStorage
from torch import nn

import optnas
from optnas.errors import InputError

DATA = optnas.arrays(torch.randn(200, 4), torch.arange(200) % 2, name="halves")


def build(trial):
    width = trial.suggest_int("width", 1, 8)
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def search(tmp_path, **settings):
    given = {
        "space": optnas.FunctionSpace(build, torch.zeros(1, 4)),
        "evaluator": optnas.TrainingEvaluator(DATA, epochs=3),
        "objectives": ("val_loss", "macs"),
        "storage": tmp_path / "study.db",
        "device": "cpu",
        "sampler": "random",
        "seed": 0,
        "trials": 4,
    }
    return optnas.Search(**given | settings)


def of_width(width):
    return {"macs": 4 * width + 2 * width, "params": 5 * width + 2 * width + 2}


def test_costs_and_what_breaks_a_bound_are_counted(tmp_path):
    found = search(tmp_path, constraints={"params": of_width(4)["params"]}).dry_run()
    params = found.costs["params"]
    assert len(params) == found.drawn == 20
    assert set(params) <= {of_width(width)["params"] for width in range(1, 9)}
    assert list(params) == sorted(params)
    assert found.over == {"params": sum(p > of_width(4)["params"] for p in params)}
    assert 0 < found.fitting == 20 - found.over["params"]
    assert found.size == "8"
    assert not found.refused


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (optnas.ReinforceSampler(targets={"flops": 1e3}), "targets: no objective 'flops'"),
        (
            optnas.StagedSampler(
                optnas.ReinforceSampler(targets={"flops": 1e3}), [optnas.Stage("width", 2)]
            ),
            "targets: no objective 'flops'",
        ),
        (
            optnas.StagedSampler(optnas.ReinforceSampler(), [optnas.Stage("depth", 2)]),
            "no parameter matches 'depth' as a whole",
        ),
    ],
)
def test_a_sampler_that_cant_be_used_leaves_no_study(tmp_path, sampler, message):
    one = search(tmp_path, sampler=sampler)
    with pytest.raises(InputError, match=message) as caught:
        one.run(progress=False)
    assert one.dry_run().refused == [str(caught.value)]
    assert not [*tmp_path.glob("*.db")]


def test_a_measured_bound_that_the_median_network_breaks_is_named(tmp_path):
    found = search(tmp_path, constraints={"latency_ms": 1e-9}).dry_run()
    assert found.median_over == {"latency_ms": 1e-9}
    assert "of a network of median costs, whose bound is 1e-09" in str(found)
    assert not search(tmp_path, constraints={"latency_ms": 1e9}).dry_run().median_over


def test_code_that_ends_the_program_ends_neither_a_dry_run_nor_a_run_without_a_word(tmp_path):
    def leave(trial=None):
        sys.exit(3)

    one = search(tmp_path, space=optnas.FunctionSpace(leave, torch.zeros(1, 4)))
    assert one.dry_run().refused == ["the study's code called sys.exit(3)"]
    with pytest.raises(InputError, match=r"called sys\.exit\(3\)"):
        one.run(progress=False)
    by_hand = search(tmp_path, storage=tmp_path / "other.db", baselines={"mine": leave}).dry_run()
    assert "called sys.exit(3)" in by_hand.baselines["mine"]


def test_a_space_that_gradients_cant_choose_in_is_refused_as_by_a_run(tmp_path):
    one = search(tmp_path, sampler="gradient")
    with pytest.raises(InputError, match="nothing that gradients can choose") as caught:
        one.run(progress=False)
    assert one.dry_run().refused == [str(caught.value)]


def test_the_time_is_that_of_the_trials_to_come(tmp_path, monkeypatch):
    one = search(tmp_path).dry_run()
    assert one.scoring.how.startswith("3 epochs of ")
    assert one.total > 4 * one.scoring.each > 0
    assert "for 4 trials" in str(one)
    table = {f"width={width}": {"loss": 1 / width} for width in range(1, 9)}
    lookup = optnas.TabularEvaluator(table, {"loss": "minimize"})
    tick = 2.0**-20  # a microsecond, without an error of rounding
    clock = SimpleNamespace(perf_counter=count(step=tick).__next__)
    monkeypatch.setattr("optnas.search.trial_time.time", clock)
    quick = search(tmp_path, evaluator=lookup, objectives=("loss", "macs")).dry_run()
    assert quick.scoring.each == tick < one.scoring.each


def test_nothing_is_written(tmp_path):
    found = search(tmp_path).dry_run()
    assert found.counted is None
    assert "a new study" in str(found)
    assert not list(tmp_path.iterdir())


def test_a_study_that_is_there_stays_as_it_is(tmp_path):
    made = search(tmp_path)
    made.run(progress=False)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    found = replace(made, trials=9).dry_run()
    assert (found.counted, found.refused) == (4, [])
    assert "4 of 9 done" in str(found)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    other = replace(made, evaluator=optnas.TrainingEvaluator(DATA, epochs=5)).dry_run()
    assert len(other.refused) == 1
    assert "evaluator epochs: 3 there, 5 here" in other.refused[0]
    with pytest.raises(InputError, match="3 there, 5 here"):
        replace(made, evaluator=optnas.TrainingEvaluator(DATA, epochs=5)).open()


def test_in_a_storage_object_no_study_is_made(tmp_path):
    storage = InMemoryStorage()
    assert search(tmp_path, storage=storage, name="one").dry_run().counted is None
    assert optuna.get_all_study_names(storage) == []


def test_what_a_run_would_end_with_is_refused(tmp_path):
    three = optnas.arrays(torch.randn(90, 4), torch.arange(90) % 3, name="thirds")
    wrong = search(tmp_path, evaluator=optnas.TrainingEvaluator(three)).dry_run()
    assert wrong.total is None
    with pytest.raises(InputError) as error:
        search(tmp_path, evaluator=optnas.TrainingEvaluator(three)).run(progress=False)
    assert wrong.refused[0] in str(error.value)


def test_baselines_and_networks_that_cannot_run_are_named(tmp_path):
    def sometimes(trial):
        width = trial.suggest_int("width", 1, 8)
        return nn.Sequential(nn.Linear(4, width), nn.Linear(4, 2))  # runs if the width is 4

    space = optnas.FunctionSpace(sometimes, torch.zeros(1, 4))
    baselines = {"big": lambda: nn.Linear(4, 2), "broken": lambda: nn.Linear(3, 2)}
    found = search(tmp_path, space=space, baselines=baselines, constraints={"params": 5}).dry_run()
    assert 0 < sum(found.unsound.values()) < 20
    assert found.fitting == 0
    big = "won't be trained, and sets no reference: params is 10, its bound 5"
    assert found.baselines["big"] == big
    assert "mat1 and mat2" in found.baselines["broken"]
    assert len(found.unsound) == 1  # messages that differ in numbers alone are one
    assert "counting.py" not in str(found)
    assert "nothing fits" in str(found)


def test_a_space_of_which_no_network_can_be_made_is_refused(tmp_path):
    def wrong(trial):
        return nn.Sequential(nn.Linear(4, trial.suggest_int("width", 1, 3)), nn.Linear(9, 2))

    found = search(tmp_path, space=optnas.FunctionSpace(wrong, torch.zeros(1, 4))).dry_run()
    assert "none of 20 random networks can be built and run: RuntimeError" in found.refused[0]

    def mistaken(trial):
        return nn.Linear(4, trial.sugest_int("width", 1, 3))

    found = search(tmp_path, space=optnas.FunctionSpace(mistaken, torch.zeros(1, 4))).dry_run()
    assert "sugest_int" in found.refused[0]
    assert found.costs == {}


def test_the_users_own_training_is_not_started(tmp_path):
    def train(model, recipe, report):
        raise AssertionError

    found = search(tmp_path, evaluator=train, objectives={"loss": "minimize"}).dry_run()
    assert found.total is None
    assert "which a dry run doesn't start" in str(found)


def test_shared_weights_take_their_time_before_the_first_trial(tmp_path):
    data, space = optnas.diabetes(), optnas.MLPSpace((10,), 1, depth=(1, 2), width=(8, 16))
    shared = optnas.SharedWeightsEvaluator(optnas.TrainingEvaluator(data, epochs=2), steps=50)
    found = search(tmp_path, space=space, evaluator=shared).dry_run()
    assert found.total > found.scoring.first > 0
    assert "before the first trial" in str(found)
