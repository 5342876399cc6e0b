"""Trials that were queued with parameters by hand."""

import optuna
from optuna.trial import TrialState, create_trial

from optnas.runs.loop import run_trials
from optnas.runs.observer import Observer


class Said(Observer):
    def __init__(self):
        self.texts = []

    def say(self, text):
        self.texts.append(text)


def value(trial):
    depth = trial.suggest_int("depth", 1, 3)
    if depth > 1:
        trial.suggest_int("width", 1, 8)
    return [depth]


def run(*queued):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for params in queued:
        study.enqueue_trial(params)
    said = Said()
    run_trials(study, value, trials=len(queued) + 1, observer=said)
    return study, said.texts


def test_a_slip_in_the_name_of_a_queued_parameter_is_said():
    _, (first, second) = run({"dpeth": 2}, {"depth": 1, "kernel": 3})
    unused = "trial {} was queued with {!r}, a parameter that its network doesn't have; there are: "
    assert first.startswith(unused.format(0, "dpeth"))
    assert "did you mean depth" in first
    assert second == unused.format(1, "kernel") + "depth"


def test_nothing_is_said_of_parameters_that_are_drawn_nor_of_trials_that_ended_before():
    assert run({"depth": 2, "width": 3}, {"depth": 2}, {})[1] == []
    study = optuna.create_study()
    study.enqueue_trial({"x": 1})

    def prune(_):
        raise optuna.TrialPruned

    said = Said()
    study.add_trial(create_trial(state=TrialState.COMPLETE, value=0.5))
    run_trials(study, lambda t: [0.5] if t.number else prune(t), trials=2, observer=said)
    assert study.trials[0].state == TrialState.PRUNED
    assert said.texts == []
