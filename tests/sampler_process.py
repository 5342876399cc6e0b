"""Runs trials of our samplers in a process of its own (see test_samplers_processes.py).

    python sampler_process.py FOLDER TOTAL [NAME ...]

Every storage and every sampler: goes on until the study has TOTAL trials.
"""

import sys
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from optnas.samplers import (
    LocalSearchSampler,
    RegularizedEvolutionSampler,
    ReinforceSampler,
)
from optnas.storage import open_storage

SAMPLERS = {
    "evolution": lambda: RegularizedEvolutionSampler(seed=3),
    "genetic": lambda: RegularizedEvolutionSampler(
        seed=3, aging=False, population_size=10, tournament_size=4, crossover=0.5
    ),
    "local search": lambda: LocalSearchSampler(seed=3),
    "reinforce": lambda: ReinforceSampler(seed=3),
    "ppo": lambda: ReinforceSampler(seed=3, algorithm="ppo", batch_size=7),
}


def objective(trial):
    """Two objectives over conditional, ordered, logarithmic and continuous parameters."""
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
    if trial.number % 11 == 5:
        raise optuna.TrialPruned
    return (float("nan") if trial.number % 13 == 7 else score), cost


def storages(folder):
    yield "sqlite", open_storage(f"sqlite:///{folder}/study.db", create=True)
    yield "journal", JournalStorage(JournalFileBackend(f"{folder}/study.journal"))


def make_studies(folder):
    """Makes the studies, before any process runs them; gives all of them."""
    return [open_study(storage, name) for _, storage in storages(folder) for name in SAMPLERS]


def open_study(storage, name):
    return optuna.create_study(
        study_name=name,
        storage=storage,
        directions=["minimize", "minimize"],
        sampler=SAMPLERS[name](),
        load_if_exists=True,
    )


def run(folder, total, names=()):
    for _, storage in storages(folder):
        for name in names or SAMPLERS:
            study = open_study(storage, name)
            study.optimize(objective, n_trials=total - len(study.trials))


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    run(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
