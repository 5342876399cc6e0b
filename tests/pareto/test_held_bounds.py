"""Bounds in words, and what trials of before a bound have to do with it."""

import logging
from dataclasses import replace

import optuna
import torch
from optuna.trial import TrialState, create_trial
from torch import nn

import optnas as library
from optnas.cli.status_table import status_table
from optnas.pareto.held_bounds import bound_texts, newer_bounds


def trial(excess=None, state=TrialState.COMPLETE, **attrs):
    made = create_trial(
        value=1.0 if state == TrialState.COMPLETE else None, state=state, user_attrs=attrs
    )
    if excess is not None:
        made.set_constraint("params", excess)
    return made


def test_trials_that_a_bound_was_not_held_against_are_told():
    bound = {"bound on params": "10"}
    held = [trial(-4.0, params=6), trial(2.0, TrialState.PRUNED, params=12)]
    assert bound_texts(held, bound) == ["params ≤ 10 (1 of 2 trials within)"]
    before = [trial(params=20), trial(params=3), trial(-8.0, params=12), trial(), trial(params="x")]
    assert bound_texts([*before, *held], bound) == [
        "params ≤ 10 (2 of 3 trials within; 2 earlier trials break it and count as within; "
        "of 2 earlier trials it isn't known)"
    ]
    assert bound_texts(before[:2], bound) == ["params within 10 (0 of 0 trials within)"]
    tightened = [trial(-2.0, params=8), trial(-8.0, params=12), *held]
    assert bound_texts(tightened, bound)[0].startswith("params ≤ 10 (3 of 4 trials within; 1 earl")
    assert bound_texts(held, {}) == ["params (1 of 2 trials within)"]


def test_a_bound_may_be_a_lower_one():
    trials = [trial(throughput=5.0), trial(throughput=1.0)]
    assert newer_bounds(trials, {"throughput": 2.0}, {"throughput": "maximize"}) == [
        "the bound throughput ≥ 2 is newer than some trials: 1 earlier trial breaks it and "
        "counts as within"
    ]
    assert newer_bounds(trials, {"throughput": 1.0}, {"throughput": "maximize"}) == []


def test_a_run_says_which_trials_its_bound_comes_too_late_for(search, tmp_path, capsys):
    search = replace(search, storage=tmp_path / "study.db", trials=3)
    study = search.run(progress=False)
    limit = min(t.user_attrs["params"] for t in study.trials)
    bounded = replace(search, constraints={"params": limit}, trials=4)
    study = bounded.run(accept_changes=True)
    beyond = sum(t.user_attrs["params"] > limit for t in study.trials[:3])
    assert beyond
    said = f"{beyond} earlier trial{'s break' if beyond > 1 else ' breaks'} it"
    assert f"the bound params ≤ {limit:.0f} is newer than some trials: {said}" in (
        capsys.readouterr().err
    )


def test_a_limit_that_comes_later_is_told_once(caplog):
    def objective(trial):
        width = trial.suggest_int("width", 1, 9)
        limits = {"params": 8 if trial.number > 1 else None}
        model = nn.Linear(width, 1)
        return library.measure_and_constrain(trial, model, torch.zeros(1, width), limits)["params"]

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for width in (8, 2, 1, 1):
        study.enqueue_trial({"width": width})
    with caplog.at_level(logging.WARNING, logger="optnas"):
        study.optimize(objective, n_trials=4)
    assert [record.getMessage() for record in caplog.records] == [
        "the bound params ≤ 8 is newer than some trials: 1 earlier trial breaks it and "
        "counts as within"
    ]
    cells = [[*column.cells] for column in status_table(study).columns]
    (bound,) = (text for label, text in zip(*cells, strict=True) if label == "bound")
    assert bound.startswith("params ≤ 8 (2 of 2 trials within; 1 earlier trial breaks it")
