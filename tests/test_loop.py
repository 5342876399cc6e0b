import datetime
import os
import subprocess
import sys

import optuna
import pytest
from conftest import score
from optuna.trial import TrialState, create_trial
from torch import nn

import optnas
from optnas.errors import InputError
from optnas.evaluators import FunctionEvaluator
from optnas.loop import run_trials
from optnas.recovery import MAX_KILLS, is_dead, lease, recover
from optnas.trials import BASELINE, FAILURE, LEASE, LOST, RETRY_OF, derived_seed, is_lost, place


def make(space, fn=score, **kwargs):
    evaluator = FunctionEvaluator(fn, {"loss": "minimize"})
    objective = optnas.Objective(space, evaluator, ("loss", "params"), seed=0, **kwargs)
    study = optuna.create_study(
        directions=objective.directions, sampler=optnas.samplers.make_sampler("random", 0)
    )
    return study, objective


def states(study):
    return [t.state.name for t in study.trials]


class Log:
    def __init__(self):
        self.queued, self.ended = [], []

    def recovered(self, numbers):
        self.queued += numbers

    def finished(self, study, trial):
        self.ended.append(trial.number)


def test_the_number_of_trials_is_a_total(space):
    study, objective = make(space)
    log = Log()
    run_trials(study, objective, trials=3, observer=log)
    run_trials(study, objective, trials=3, observer=log)
    assert states(study) == ["COMPLETE"] * 3
    run_trials(study, objective, trials=5, observer=log)
    assert states(study) == ["COMPLETE"] * 5
    assert log.ended == [0, 1, 2, 3, 4]


def test_pruned_and_failed_trials_do_not_count(space):
    def sometimes(model, recipe, report):
        n = len(study.trials)
        if n == 2:
            raise optuna.TrialPruned("enough")
        return {"loss": float("nan") if n == 3 else 1.0}

    study, objective = make(space, sometimes)
    run_trials(study, objective, trials=4)
    assert states(study).count("COMPLETE") == 4
    assert set(states(study)) >= {"PRUNED"}


def test_an_infeasible_study_ends_with_an_explanation(space):
    study, objective = make(space, constraints={"params": 3.5})
    message = (
        r"110 trials .* 0 of 1 are COMPLETE.*bound on params was broken 110 times; "
        r"the nearest was 5, which is off by 1\.5.*Loosen"
    )
    with pytest.raises(InputError, match=message):
        run_trials(study, objective, trials=1)
    assert states(study) == ["PRUNED"] * 110


def test_time_ends_a_run_between_trials(space):
    study, objective = make(space)
    run_trials(study, objective, trials=10**6, hours=1e-12)
    assert study.trials == []


def test_a_mistake_in_the_code_stops_the_run_until_a_trial_has_succeeded(space):
    fail = [True, False, True, False]

    def flaky(model, recipe, report):
        if fail.pop(0):
            raise ZeroDivisionError("oops")
        return {"loss": 1.0}

    study, objective = make(space, flaky)
    with pytest.raises(ZeroDivisionError):
        run_trials(study, objective, trials=2)
    fail[:] = [False, True, False]
    run_trials(study, objective, trials=2)
    assert states(study) == ["FAIL", "COMPLETE", "FAIL", "COMPLETE"]
    assert study.trials[2].user_attrs[FAILURE].startswith("ZeroDivisionError: oops (test_loop.py")


def test_the_same_mistake_four_times_in_a_row_stops_the_run(space):
    def broken_later(model, recipe, report):
        if study.trials[-1].number > 1:
            raise ZeroDivisionError("oops")
        return {"loss": 1.0}

    study, objective = make(space, broken_later)
    with pytest.raises(ZeroDivisionError):
        run_trials(study, objective, trials=9)
    assert states(study) == ["COMPLETE"] * 2 + ["FAIL"] * 4


def test_a_mended_study_gets_new_attempts(space):
    study, objective = make(space, constraints={"params": 3.5})
    with pytest.raises(InputError):
        run_trials(study, objective, trials=1)
    with pytest.raises(InputError, match="broken 110 times"):  # this run's, not 220
        run_trials(study, objective, trials=1)
    _, objective = make(space, constraints={"params": 300})
    run_trials(study, objective, trials=1)
    assert states(study)[-1] == "COMPLETE"


def test_an_evaluator_that_exits_is_a_mistake(space):
    study, objective = make(space, lambda *_: sys.exit(0))
    with pytest.raises(InputError, match=r"called sys\.exit"):
        run_trials(study, objective, trials=1)
    assert states(study) == ["FAIL"]


def test_baselines_come_first_and_once(space):
    study, objective = make(
        space, baselines={"a": lambda: nn.Linear(2, 1), "b": lambda: nn.Linear(2, 1)}
    )
    run_trials(study, objective, trials=3)
    run_trials(study, objective, trials=4)
    assert [t.user_attrs.get(BASELINE) for t in study.trials] == ["a", "b", None, None]


def test_an_interrupted_trial_is_taken_up_again_in_its_place(space):
    whole, objective = make(space)
    run_trials(whole, objective, trials=5)

    def interrupt(model, recipe, report):
        if interrupted := study.trials[-1].number == 2:
            raise KeyboardInterrupt
        assert not interrupted
        return score(model, recipe, report)

    study, objective = make(space, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_trials(study, objective, trials=5)
    assert states(study) == ["COMPLETE", "COMPLETE", "FAIL"]
    log = Log()
    run_trials(study, objective, trials=5, observer=log)
    assert log.queued == [2]
    assert states(study) == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert study.trials[3].user_attrs[RETRY_OF] == 2
    completed = [t for t in study.trials if t.state == TrialState.COMPLETE]
    assert [t.params for t in completed] == [t.params for t in whole.trials]
    assert [t.values for t in completed] == [t.values for t in whole.trials]


def dead_lease():
    """A process that has just ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return lease() | {"pid": process.pid}


def running(**attrs):
    return create_trial(
        state=TrialState.RUNNING,
        params={"x": 1},
        distributions={"x": optuna.distributions.IntDistribution(0, 3)},
        user_attrs=attrs,
    )


def test_the_dead_are_recovered_and_the_living_left_alone():
    study = optuna.create_study()
    study.add_trial(running(**{LEASE: dead_lease(), BASELINE: "b", "params": 3}))
    study.add_trial(running(**{LEASE: lease()}))
    study.add_trial(running(**{LEASE: lease() | {"host": "elsewhere", "pid": 1}}))
    study.add_trial(running())
    assert recover(study) == [0]
    assert states(study) == ["FAIL", "RUNNING", "RUNNING", "RUNNING", "WAITING"]
    retry = study.trials[4]
    assert study.trials[0].user_attrs[LOST] == "killed"
    assert retry.user_attrs == {RETRY_OF: 0, BASELINE: "b"}
    assert retry.system_attrs == {"fixed_params": {"x": 1}}
    assert recover(study) == []
    assert len(study.trials) == 5


def test_a_trial_that_died_before_it_could_take_a_lease_is_recovered_after_a_while():
    study = optuna.create_study()
    trial = running()
    trial.datetime_start = datetime.datetime.now() - datetime.timedelta(minutes=5)
    study.add_trial(trial)
    assert recover(study) == [0]


def test_a_trial_that_keeps_killing_its_process_is_given_up():
    study = optuna.create_study()
    study.add_trial(running(**{LEASE: dead_lease()}))
    for _ in range(MAX_KILLS + 2):
        recover(study)
        if study.trials[-1].state != TrialState.WAITING:
            break
        study.ask().set_user_attr(LEASE, dead_lease())
    assert states(study) == ["FAIL"] * MAX_KILLS
    assert all(is_lost(t) for t in study.trials)


def test_a_reused_process_id_is_another_process():
    mine = lease()
    assert not is_dead(mine)
    assert is_dead(mine | {"started": mine["started"] - 100})
    assert mine["pid"] == os.getpid()


def test_places_leave_no_gap_and_retries_keep_theirs():
    study = optuna.create_study()
    for retry_of in (None, None, 1, None, 2, None):
        attrs = {} if retry_of is None else {RETRY_OF: retry_of}
        study.add_trial(create_trial(value=0.0, user_attrs=attrs))
    assert [place(t, study.trials) for t in study.trials] == [0, 1, 1, 2, 1, 3]


def test_seeds_differ_by_place_and_purpose():
    seeds = {derived_seed(s, p, w) for s in range(3) for p in range(3) for w in ("a", "b")}
    assert len(seeds) == 18
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_what_other_processes_run_is_left_to_them(space):
    study, objective = make(space)
    study.add_trial(running(**{LEASE: lease()}))
    study.add_trial(running(**{LEASE: lease() | {"host": "elsewhere"}}))
    run_trials(study, objective, trials=3)
    assert states(study).count("COMPLETE") == 2
    assert states(study)[:2] == ["RUNNING"] * 2
