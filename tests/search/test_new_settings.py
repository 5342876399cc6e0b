"""A study without a result takes new settings: a mistake in a file doesn't lock its name."""

from dataclasses import replace

import optuna
import pytest
import torch
from networks import build_linear, score
from optuna.trial import TrialState, create_trial
from optuna_dashboard import get_note, save_note
from torch import nn

import optnas
from optnas.errors import InputError
from optnas.evaluators import FunctionEvaluator
from optnas.search import open as begin
from optnas.storage.open import close_storage
from optnas.study.attributes import LEASE, LOST, SEED, STOPPED
from optnas.study.leases import lease
from optnas.study.record import RECORD, Overrides

URLS = ["", "journal:///tiny.journal"]
LOSS = {"loss": "minimize"}


def wrong(model, recipe, report):
    raise RuntimeError("a typo")


def other_choices(trial):
    """The same parameters with other choices, which Optuna refuses within one study."""
    width = trial.suggest_int("width", 1, 2)
    trial.suggest_categorical("deep", ["yes", "no"])
    return nn.Linear(2, width)


@pytest.fixture
def failed(search):
    """A search whose only trial failed."""
    failed = replace(search, evaluator=FunctionEvaluator(wrong, LOSS))
    with pytest.raises(RuntimeError, match="a typo"):
        failed.run(progress=False)
    return failed


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"space": optnas.FunctionSpace(other_choices, torch.zeros(1, 2))},
        {"objectives": ("params", "loss", "macs")},
        {"constraints": {"params": 1000}},
        {"seed": 2},
    ],
    ids=["code", "choices", "objectives", "bound", "seed"],
)
def test_a_mended_file_runs_under_the_same_name(search, failed, change, caplog):
    changed = replace(search, **change)
    study = changed.run(progress=False)
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.COMPLETE) == 6
    assert TrialState.FAIL not in states
    assert study.user_attrs[RECORD]["fingerprint"] == changed.fingerprint(changed.objective())
    assert study.user_attrs[SEED] == changed.seed
    assert "begins anew with those of now (without 1 trial that failed" in caplog.text
    with pytest.raises(InputError, match="evaluator code"):
        failed.run(progress=False)


@pytest.mark.parametrize("url", URLS)
def test_it_keeps_overrides_own_attributes_and_what_the_user_queued(search, url):
    failed = replace(search, evaluator=FunctionEvaluator(wrong, LOSS), storage=url)
    study = failed.open(overrides=Overrides(max_failures=2))
    study.set_user_attr("owner", "me")
    save_note(study, "why it is run")
    with pytest.raises(RuntimeError, match="a typo"):
        failed.run(progress=False)
    params = {"width": 3, "deep": False}
    study.enqueue_trial(params, user_attrs={"note": "mine"})
    new = replace(search, storage=url).run(progress=False)
    assert new.user_attrs["owner"] == "me"
    assert get_note(new) == "why it is run"
    assert new.trials[0].params == params
    assert new.trials[0].user_attrs["note"] == "mine"
    assert search.remembered() == Overrides(max_failures=2) if not url else True
    close_storage(new._storage)


def test_a_study_that_another_process_began_anew_a_moment_before_stays(search, failed, monkeypatch):
    """SQLite gives the new study the number of the old one."""
    decide = begin.takes_new_settings

    def late(study, *settings):
        anew = decide(study, *settings)
        monkeypatch.undo()
        quicker.append(search.run(progress=False))
        return anew

    quicker = []
    monkeypatch.setattr(begin, "takes_new_settings", late)
    with pytest.raises(InputError, match="bound on params"):
        replace(search, constraints={"params": 1000}).open()
    assert len(search.open().trials) == len(quicker[0].trials) == 6


def test_a_study_without_any_trial_begins_anew(search, caplog):
    search.open()
    study = replace(search, constraints={"params": 1000}).open()
    assert study.user_attrs[RECORD]["fingerprint"]["bound on params"] == "1000"
    assert caplog.messages[0].endswith("begins anew with those of now")


def test_the_same_settings_go_on_with_the_study(search, failed):
    study = failed.open()
    assert [trial.state for trial in study.trials] == [TrialState.FAIL]


def test_a_lost_trial_is_no_result_and_no_trial_repeats_it(search):
    study = search.open()
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs={LOST: "interrupted"}))
    new = replace(search, constraints={"params": 1000}).run(progress=False)
    assert len(new.trials) == 6


@pytest.mark.parametrize(
    "trial",
    [
        create_trial(state=TrialState.COMPLETE, values=[1.0, 2.0]),
        create_trial(state=TrialState.PRUNED, user_attrs={STOPPED: {"step": 1}}),
        create_trial(state=TrialState.RUNNING, user_attrs={LEASE: lease()}),
    ],
    ids=["complete", "stopped", "running"],
)
def test_a_study_with_a_result_or_a_running_trial_keeps_its_settings(search, trial):
    study = search.open()
    study.add_trial(trial)
    with pytest.raises(InputError, match="bound on params: nothing there, 1000 here"):
        replace(search, constraints={"params": 1000}).open()
    assert len(study.trials) == 1


def test_what_a_failed_trial_measured_is_measured_again(search):
    """Its network may have come from code that isn't compared, and was mended since."""
    extra = [1]

    def build(trial):
        return nn.Sequential(build_linear(trial), *(nn.Linear(1, 1) for _ in extra))

    def fit(model, recipe, report):
        return wrong(model, recipe, report) if extra else score(model, recipe, report)

    space = optnas.FunctionSpace(build, torch.zeros(1, 2))
    objective = optnas.Objective(space, FunctionEvaluator(fit, LOSS), ("loss", "params"))
    study = optuna.create_study(directions=objective.directions)
    for _ in range(2):
        study.enqueue_trial({"width": 1, "deep": False})
    study.optimize(objective, n_trials=1, catch=RuntimeError)
    extra.clear()
    study.optimize(objective, n_trials=1)
    assert [trial.user_attrs["params"] for trial in study.trials] == [7, 5]
