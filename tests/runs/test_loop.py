import math
import signal
import sys
import time

import optuna
import pytest
import torch
from networks import build_linear, score
from optuna.trial import TrialState, create_trial
from others import running
from torch import nn

import optnas
from optnas.errors import InputError, TrialTimeout
from optnas.evaluators import FunctionEvaluator
from optnas.runs.failing import REFUSED
from optnas.runs.loop import run_trials
from optnas.runs.observer import Observer
from optnas.runs.recovery import give_up
from optnas.runs.stop import Stop
from optnas.runs.take import take_trial
from optnas.runs.time_limit import time_limit
from optnas.search_spaces import FunctionSpace
from optnas.study.attributes import BASELINE, FAILURE, LEASE, LOST, RETRY_OF
from optnas.study.seeds import derived_seed
from optnas.study.trial_order import place


def make(space, fn=score, **kwargs):
    evaluator = FunctionEvaluator(fn, {"loss": "minimize"})
    objective = optnas.Objective(space, evaluator, ("loss", "params"), seed=0, **kwargs)
    study = optuna.create_study(
        directions=objective.directions, sampler=optnas.samplers.make_sampler("random", 0)
    )
    return study, objective


def states(study):
    return [t.state.name for t in study.trials]


class Log(Observer):
    def __init__(self):
        self.queued, self.begun, self.ended, self.awaited = [], [], [], []

    def recovered(self, numbers):
        self.queued += numbers

    def waiting(self, numbers):
        self.awaited.append(numbers)

    def began(self, number):
        self.begun.append(number)

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
    assert log.begun == log.ended == [0, 1, 2, 3, 4]


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
        r"110 trials .* 0 of 1 are done.*bound on params, 3\.5, was broken 110 times; "
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


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (lambda n: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda n: float("nan"), "loss is nan"),
        (lambda n: oom(n), r"out of memory: tried to allocate \d\.\d GiB"),
    ],
)
def test_the_same_failure_three_times_in_a_row_stops_the_run(space, outcome, reason):
    def broken_later(model, recipe, report):
        n = len(study.trials)
        return {"loss": 1.0 if n < 3 else outcome(n)}

    study, objective = make(space, broken_later)
    with pytest.raises(
        InputError, match=f"last 3 trials failed for the same reason.*{reason}.*max_failures"
    ):
        run_trials(study, objective, trials=50)
    assert states(study)[-3:] == ["FAIL"] * 3
    before = states(study).count("FAIL")
    with pytest.raises(
        InputError, match="last 1 trial failed for the same reason"
    ):  # this run's alone count
        run_trials(study, objective, trials=50, max_failures=1)
    assert states(study).count("FAIL") == before + 1


def oom(n):
    raise torch.OutOfMemoryError(f"tried to allocate {n}.5 GiB")


def widths(enqueued, broken=lambda trial: None):
    """A study whose wide networks have a loss of NaN, and its objective."""

    def objective(trial):
        width = trial.suggest_int("width", 1, 100)
        broken(trial)
        return [math.nan if width > 50 else width]

    study = optuna.create_study(sampler=optnas.RegularizedEvolutionSampler(seed=0))
    for width in enqueued:
        study.enqueue_trial({"width": width})
    return study, objective


MIXED = [10, 80, 30, 95, 20, 70, 40, 60, 5]
"""Widths that succeed and fail in turn."""


def test_failures_that_were_to_be_expected_do_not_stop_the_run():
    study, objective = widths([*MIXED, 90, 75, 85, 99, 88])
    run_trials(study, objective, trials=20)
    assert states(study)[9:14] == ["FAIL"] * 5
    assert states(study).count("COMPLETE") == 20


@pytest.mark.parametrize("reason", ["no space left on device", "an objective is NaN"])
def test_what_fails_every_network_stops_a_run_that_knew_failures(reason):
    study, objective = widths([*MIXED, 12, 33, 22])

    def broken_later(trial):
        values = objective(trial)
        if trial.number < len(MIXED):
            return values
        if "NaN" in reason:
            return [math.nan]
        raise OSError(reason)

    with pytest.raises(InputError, match=f"last 3 trials failed.*{reason}"):
        run_trials(study, broken_later, trials=50)
    assert states(study)[len(MIXED) :] == ["FAIL"] * 3


def test_failures_of_several_kinds_do_not_stop_the_run(space):
    outcomes = iter([1.0, math.nan, ZeroDivisionError(), math.nan, ZeroDivisionError()])

    def several(model, recipe, report):
        found = next(outcomes, 1.0)
        if isinstance(found, Exception):
            raise found
        return {"loss": found}

    study, objective = make(space, several)
    run_trials(study, objective, trials=7)
    assert states(study).count("FAIL") == 4


def test_a_mended_study_gets_new_attempts(space):
    study, objective = make(space, constraints={"params": 3.5})
    with pytest.raises(InputError):
        run_trials(study, objective, trials=1)
    with pytest.raises(InputError, match="broken 110 times"):  # this run's, not 220
        run_trials(study, objective, trials=1)
    _, objective = make(space, constraints={"params": 300})
    run_trials(study, objective, trials=1)
    assert states(study)[-1] == "COMPLETE"


def wide(trial):
    return nn.Linear(2, trial.suggest_int("width", 1, 5000))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["evolution", "predictor"])
@pytest.mark.parametrize(("build", "least"), [(build_linear, 5), (wide, 3)])
def test_a_run_ends_soon_if_nothing_keeps_a_bound_that_is_known_before(name, build, least):
    study, objective = make(FunctionSpace(build, torch.zeros(1, 2)), constraints={"params": 2})
    study.sampler = optnas.samplers.make_sampler(name, 0)
    study.sampler.fill_in(objective.suggest, objective.preview)
    with pytest.raises(InputError, match=rf"0 of 20 .*nearest was {least}, .*Loosen the bounds"):
        run_trials(study, objective, trials=20)
    assert REFUSED < len(study.trials) < 2 * REFUSED


@pytest.mark.slow
@pytest.mark.parametrize("name", ["evolution", "predictor"])
def test_a_bound_that_one_of_thousands_keeps_is_kept(name):
    study, objective = make(FunctionSpace(wide, torch.zeros(1, 2)), constraints={"params": 3})
    study.sampler = optnas.samplers.make_sampler(name, 0)
    study.sampler.fill_in(objective.suggest, objective.preview)
    run_trials(study, objective, trials=1)
    assert study.trials[-1].params == {"width": 1}


def test_an_evaluator_that_exits_is_a_mistake(space):
    study, objective = make(space, lambda *_: sys.exit(0))
    with pytest.raises(InputError, match=r"called sys\.exit"):
        run_trials(study, objective, trials=1)
    assert states(study) == ["FAIL"]


class Own(BaseException):
    """As libraries have them, so that `except Exception` doesn't swallow them."""


def raise_own(*_):
    raise Own("enough")


def test_an_exception_that_is_no_exception_fails_its_trial(space):
    study, objective = make(space, raise_own)
    with pytest.raises(RuntimeError, match=r"Own: enough \(test_loop.py, line \d+\)"):
        run_trials(study, objective, trials=1)
    with pytest.raises(RuntimeError, match="Own: enough"):
        study.optimize(objective, n_trials=1)
    assert states(study) == ["FAIL", "FAIL"]
    assert all("Own: enough" in t.user_attrs[FAILURE] for t in study.trials)


def test_baselines_come_first_and_once(space):
    study, objective = make(
        space, baselines={"a": lambda: nn.Linear(2, 1), "b": lambda: nn.Linear(2, 1)}
    )
    run_trials(study, objective, trials=3, baselines=objective.baseline_params)
    run_trials(study, objective, trials=4, baselines=objective.baseline_params)
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
    assert states(study) == ["COMPLETE", "COMPLETE", "FAIL", "WAITING"]
    run_trials(study, objective, trials=5)
    assert study.trials[2].user_attrs[LOST] == "interrupted"
    assert states(study) == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert study.trials[3].user_attrs[RETRY_OF] == 2
    completed = [t for t in study.trials if t.state == TrialState.COMPLETE]
    assert [t.params for t in completed] == [t.params for t in whole.trials]
    assert [t.values for t in completed] == [t.values for t in whole.trials]


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


def test_what_others_run_counts_and_is_waited_for(space, monkeypatch):
    study, objective = make(space)
    others = [running(study), running(study, host="elsewhere")]
    looks = []

    def look(seconds):
        looks.append(states(study))
        study.tell(others.pop(), [1.0, 1.0])

    monkeypatch.setattr("optnas.runs.loop.time.sleep", look)
    log = Log()
    run_trials(study, objective, trials=3, observer=log)
    assert log.ended == [2]
    assert log.awaited == [[0, 1]]
    assert looks[0] == ["RUNNING", "RUNNING", "COMPLETE"]
    assert states(study) == ["COMPLETE"] * 3


def test_when_what_others_run_fails_it_is_made_up_for(space, monkeypatch):
    study, objective = make(space)
    other = running(study)
    monkeypatch.setattr(
        "optnas.runs.loop.time.sleep", lambda _: study.tell(other, state=TrialState.FAIL)
    )
    run_trials(study, objective, trials=2)
    assert states(study) == ["FAIL", "COMPLETE", "COMPLETE"]


def test_a_trial_that_is_one_too_many_ends_itself(space, monkeypatch):
    """Two workers have asked for the last one at the same moment."""
    study, objective = make(space)
    run_trials(study, objective, trials=2)
    rivals = []

    def take(study, own, waiting):
        if not rivals:
            rivals.append(running(study))
        return take_trial(study, own, waiting)

    monkeypatch.setattr("optnas.runs.tally.take_trial", take)
    monkeypatch.setattr("optnas.runs.loop.time.sleep", lambda _: study.tell(rivals[0], [1.0, 1.0]))
    log = Log()
    run_trials(study, objective, trials=3, observer=log)
    assert states(study) == ["COMPLETE"] * 3 + ["FAIL"]
    assert (
        study.trials[3].user_attrs["surplus"]
        == "3 trials are wanted, and as many come before this one"
    )
    assert study.trials[3].params == {}
    assert log.begun == []
    run_trials(study, objective, trials=4)
    assert states(study) == ["COMPLETE"] * 3 + ["FAIL", "COMPLETE"]


def test_a_late_result_is_survived(space, caplog):
    """The worker was presumed dead, because its machine slept, and is repeated by another."""

    def sleepy(model, recipe, report):
        if len(study.trials) == 2:
            give_up(study, study.trials[1])
        return score(model, recipe, report)

    study, objective = make(space, sleepy)
    log = Log()
    run_trials(study, objective, trials=3, observer=log)
    assert states(study) == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert study.trials[1].user_attrs[LOST] == "killed"
    assert study.trials[2].params == study.trials[1].params
    assert study.trials[2].user_attrs[RETRY_OF] == 1
    assert log.ended == [0, 2, 3]
    assert "trial 1 was presumed dead" in caplog.text


def test_the_same_architecture_and_recipe_is_waited_for(monkeypatch):
    """Another worker trains it at this moment: its values are reused when they come."""
    space = optnas.FunctionSpace(lambda trial: nn.Linear(2, 1), torch.zeros(1, 2))
    calls = []
    study, objective = make(space, lambda *_: calls.append(1) or {"loss": 1.0})
    other = running(study, host="elsewhere")
    other.set_user_attr("architecture", str(objective.candidate(other)))
    other.set_user_attr("recipe", "")
    monkeypatch.setattr(
        "optnas.objective.duplicates.time.sleep", lambda _: study.tell(other, [7.0, 3.0])
    )
    run_trials(study, objective, trials=2)
    assert [t.values for t in study.trials] == [[7.0, 3.0]] * 2
    assert study.trials[1].user_attrs["duplicate_of"] == 0
    assert calls == []


@pytest.mark.parametrize("end", ["dies", "fails"])
def test_the_same_is_trained_after_all_if_the_other_comes_to_nothing(monkeypatch, end):
    space = optnas.FunctionSpace(lambda trial: nn.Linear(2, 1), torch.zeros(1, 2))
    study, objective = make(space)
    other = running(study, host="elsewhere")
    other.set_user_attr("architecture", str(objective.candidate(other)))
    other.set_user_attr("recipe", "")

    def look(_):
        if end == "dies":
            other.set_user_attr(LEASE, {"host": "elsewhere", "renewed": 0.0})
        else:
            study.tell(other, state=TrialState.FAIL)

    monkeypatch.setattr("optnas.objective.duplicates.time.sleep", look)
    assert objective(study.ask())[1] == 3


def test_a_batch_in_one_process_waits_for_nothing():
    space = optnas.FunctionSpace(lambda trial: nn.Linear(2, 1), torch.zeros(1, 2))
    study, objective = make(space)
    first, second = study.ask(), study.ask()
    assert objective(first) == objective(second)


def test_a_requested_stop_finishes_the_running_trial(space):
    stop = Stop()

    def one(model, recipe, report):
        stop.requested = len(study.trials) == 2
        return score(model, recipe, report)

    study, objective = make(space, one)
    run_trials(study, objective, trials=5, stop=stop)
    assert states(study) == ["COMPLETE"] * 2


def test_a_trial_that_takes_too_long_fails(space):
    left = []

    def hang(model, recipe, report):
        if len(study.trials) == 2:
            left.append(signal.getitimer(signal.ITIMER_REAL)[0])
            try:
                signal.raise_signal(signal.SIGALRM)  # as the timer does when the time is up
                time.sleep(60)
            except Exception:  # as a person's loop over batches might
                pytest.fail("swallowed")
        return score(model, recipe, report)

    study, objective = make(space, hang)
    run_trials(study, objective, trials=3, trial_timeout=60)
    assert len(left) == 1
    assert 0 < left[0] <= 60
    assert states(study) == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert "took longer than" in study.trials[1].user_attrs[FAILURE]
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_the_timer_of_a_trial_rings_by_itself():
    with pytest.raises(TrialTimeout, match="took longer than"), time_limit(0.05):
        time.sleep(60)


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan")])
def test_a_timeout_must_be_positive(search, timeout):
    with pytest.raises(ValueError, match="trial_timeout must be above 0 seconds"):
        search.override(optnas.study.record.Overrides(trial_timeout=timeout))


def test_a_full_disk_in_the_middle_loses_no_trial(space, monkeypatch):
    """What the storage could not take is no failure of the trial, which is repeated."""

    def full(*_):
        raise optuna.exceptions.StorageInternalError("database or disk is full")

    study, objective = make(space)
    run_trials(study, objective, trials=2)
    with monkeypatch.context() as patch:
        patch.setattr(objective, "weights", None)
        patch.setattr(objective.evaluator, "evaluate", full)
        with pytest.raises(optuna.exceptions.StorageInternalError):
            run_trials(study, objective, trials=4)
    assert states(study) == ["COMPLETE"] * 2 + ["FAIL", "WAITING"]
    run_trials(study, objective, trials=4)
    completed = [t for t in study.trials if t.state == TrialState.COMPLETE]
    whole, objective = make(space)
    run_trials(whole, objective, trials=4)
    assert [t.params for t in completed] == [t.params for t in whole.trials]
