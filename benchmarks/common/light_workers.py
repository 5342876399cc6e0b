"""Worker processes without torch, for tests of what many of them do to one study.

A worker runs trials until the study is complete, and appends the number of every trial that its
objective is called with to a file.
"""

import hashlib
import os
import sys
import time
from dataclasses import dataclass
from functools import partial

import optuna

from common import processes
from optnas.runs.loop import run_trials
from optnas.samplers import RegularizedEvolutionSampler
from optnas.storage.open import close_storage, open_storage
from optnas.study.load import load_or_create


@dataclass
class Job:
    """What a worker does: how many COMPLETE trials, and how long each takes."""

    url: str
    trials: int
    seconds: float = 0.0
    log: str = ""
    make: bool = False


def make_study(url):
    storage = open_storage(url, create=True)
    return optuna.create_study(
        study_name="light workers", storage=storage, directions=["minimize", "minimize"]
    )


def load_study(url):
    return optuna.load_study(
        study_name="light workers",
        storage=open_storage(url, create=True),
        sampler=RegularizedEvolutionSampler(seed=1),
    )


def close(study):
    """Lets go of the storage; psycopg warns of connections that are only forgotten."""
    close_storage(study._storage)


def outcome(trial):
    """Values, `pruned`, or NaN: a function of the parameters alone."""
    x = [trial.suggest_int(f"x{i}", 0, 9) for i in range(trial.suggest_int("depth", 2, 5))]
    digit = hashlib.sha256(str(x).encode()).digest()[0]
    if digit < 10:
        raise optuna.TrialPruned
    return (float("nan") if digit < 20 else float(sum(x))), float(len(x))


def objective(job, trial):
    """Says what it does at each step, so that `checked` can see whether a trial is whole."""
    if job.log:
        with open(job.log, "a") as file:
            file.write(f"{trial.number}\n")
    values = outcome(trial)
    trial.set_user_attr("pid", os.getpid())
    deadline = time.monotonic() + job.seconds
    for step in range(5):
        time.sleep(max(deadline - time.monotonic(), 0) / (5 - step))
        trial.set_user_attr("curve", [{"step": s} for s in range(step + 1)])
    trial.set_user_attr("whole", list(values))
    return values


def start(job):
    """A worker, which is a `multiprocessing.Process`."""
    return processes.start(work, job)


def work(job):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if job.make:
        load_or_create(
            open_storage(job.url, create=True), "light workers", ["minimize", "minimize"]
        )
    study = load_study(job.url)
    run_trials(study, partial(objective, job), trials=job.trials, max_failures=100)
    assert "torch" not in sys.modules


def checked(study, trials):
    """Checks a study that was worked on by many, some of them killed."""
    every = study.get_trials(deepcopy=False)
    assert [t.number for t in every] == list(range(len(every)))
    assert len({t._trial_id for t in every}) == len(every)
    states = optuna.trial.TrialState
    complete = [t for t in every if t.state == states.COMPLETE]
    assert len(complete) == trials
    for trial in complete:
        assert trial.values == trial.user_attrs["whole"]
        assert len(trial.user_attrs["curve"]) == 5
        assert set(trial.params) == {"depth", *(f"x{i}" for i in range(trial.params["depth"]))}
    repeated = [t.user_attrs["retry_of"] for t in every if "retry_of" in t.user_attrs]
    run = [
        t.user_attrs["retry_of"]
        for t in every
        if "retry_of" in t.user_attrs and t.state in (states.COMPLETE, states.PRUNED)
    ]
    assert len(run) == len(set(run)), "a lost trial was repeated twice"
    for trial in every:
        if trial.state == states.FAIL:
            reasons = {"lost", "surplus", "failure"} & set(trial.user_attrs)
            assert len(reasons) == 1, trial
        elif trial.state == states.WAITING:  # two workers have queued the same retry
            assert repeated.count(trial.user_attrs["retry_of"]) > 1, trial
        else:
            assert trial.state in (states.COMPLETE, states.PRUNED), trial
    return every
