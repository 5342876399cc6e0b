"""Trials of our samplers, for processes of their own (see test_processes.py)."""

import hashlib
import warnings

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from optnas.runs.loop import run_trials
from optnas.samplers import (
    LocalSearchSampler,
    QLearningSampler,
    RegularizedEvolutionSampler,
    ReinforceSampler,
    Stage,
    StagedSampler,
    make_sampler,
)
from optnas.storage.open import open_storage

SAMPLERS = {
    "evolution": lambda: RegularizedEvolutionSampler(seed=3),
    "genetic": lambda: RegularizedEvolutionSampler(
        seed=3, aging=False, population_size=10, tournament_size=4, crossover=0.5
    ),
    "local search": lambda: LocalSearchSampler(seed=3),
    "reinforce": lambda: ReinforceSampler(seed=4),
    "qlearning": lambda: QLearningSampler(seed=0, schedule=30),
    "staged": lambda: StagedSampler(
        RegularizedEvolutionSampler(seed=3), [Stage(".*", 5), Stage("depth|.*kind", 15)]
    ),
}


KILLED_SAMPLERS = SAMPLERS | {
    name: lambda name=name: make_sampler(name, 3)
    for name in ("predictor", "random", "tpe", "nsgaii")
}


def objective(trial):
    """Two objectives over conditional, ordered, logarithmic and continuous parameters.

    Some architectures are pruned, and some diverge.
    """
    depth = trial.suggest_int("depth", 1, 4)
    cost, score = 0.0, 0.0
    for i in range(depth):
        kind = trial.suggest_categorical(f"layer{i}.kind", ["conv", "pool", "none"])
        if kind == "conv":
            width = trial.suggest_int(f"layer{i}.width", 8, 256, log=True)
            cost += width
            score += 1 / width
    if trial.suggest_categorical("dropout", [False, True]):
        score += abs(trial.suggest_float("rate", 0.0, 0.6, step=0.1) - 0.3)
    score += abs(trial.suggest_float("lr", 1e-4, 1e-1, log=True) - 0.01)
    state = end_of(trial.params)
    if state == TrialState.PRUNED:
        raise optuna.TrialPruned
    return (float("nan") if state == TrialState.FAIL else score), cost


def end_of(params):
    """The state in which `objective` ends a trial: a function of its parameters."""
    digit = hashlib.sha256(str(sorted(params.items())).encode()).digest()[0]
    if digit < 20:
        return TrialState.PRUNED
    return TrialState.FAIL if digit < 60 else TrialState.COMPLETE


def studies(folder):
    """The name of each sampler with its study.

    Storages take turns: what they give back doesn't depend on the sampler. The first has both.
    """
    sqlite = open_storage(f"sqlite:///{folder}/study.db", create=True)
    journal = JournalStorage(JournalFileBackend(f"{folder}/study.journal"))
    for i, name in enumerate(SAMPLERS):
        yield name, open_study((sqlite, journal)[i % 2], name)
        if i == 0:
            yield name, open_study(journal, name)


def open_study(storage, name):
    return optuna.create_study(
        study_name=name,
        storage=storage,
        directions=["minimize", "minimize"],
        sampler=SAMPLERS[name](),
        load_if_exists=True,
    )


def begin():
    """For a process of its own: as in the tests, warnings are errors."""
    warnings.simplefilter("error")
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def run(folder, total):
    """Runs every study until it has that many trials."""
    begin()
    for _, study in studies(folder):
        study.optimize(objective, n_trials=total - len(study.trials))


class Watched:
    """A trial that sends a message at every parameter, and waits for the answer."""

    def __init__(self, trial, drawn):
        self._trial = trial
        self._drawn = drawn

    def __getattr__(self, name):
        if name.startswith("suggest"):
            self._drawn.send_bytes(b".")
            self._drawn.recv_bytes()
        return getattr(self._trial, name)


def work(storage, total, name, drawn=None):
    """Runs one sampler as a worker that recovers what a killed one left, until all are COMPLETE."""
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        directions=["minimize", "minimize"],
        sampler=KILLED_SAMPLERS[name](),
        load_if_exists=True,
    )
    run_trials(
        study,
        objective if drawn is None else (lambda trial: objective(Watched(trial, drawn))),
        trials=total,
        max_failures=100,
    )
    return study


def work_on(folder, total, name, drawn):
    begin()
    work(open_storage(f"sqlite:///{folder}/killed.db", create=True), total, name, drawn)
