"""The textbook comparison: samplers on the 3,600 choices of studies/regression_mlp.py.

    python benchmarks/regression_mlp.py [--seeds 20]

Every choice of network and training was trained with three seeds
(benchmarks/regression_mlp_table.py); a choice's value is the mean val_loss, and a training that
diverged fails its trial. Prints the regret, the val_loss above that of the best choice, with paired
tests: at equal numbers of trainings, and at equal time. The time is that of one training (the mean
of 40 random choices, trained now), the sampler's own, and for the gradient sampler that of the
relaxed network, in which the activation is a choice between operations; what discretising adds to
its loss is printed, too. The predictor is told nothing here. `language model` asks a scripted model
(benchmarks/common/scripted.py). Optuna's GP sampler has fewer seeds and 50 evaluations. Writes
benchmarks/results/regression_mlp.json.
"""

import csv
import math
import time
from functools import cache
from random import Random

import numpy as np
import optuna
import torch
from common.comparison import (
    COLORS,
    GRADIENT,
    LANGUAGE_MODEL,
    PEERS,
    SAMPLERS,
    arguments,
    at_budgets,
    chosen,
    run_all,
    run_sampler,
    save,
    saved,
    table,
    verdicts,
)
from common.scripted import scripted_sampler
from regression_mlp_table import CHOICES, SEEDS, STUDY, TABLE, train
from torch import nn

import optnas
from optnas.samplers.gradient import relaxed_of
from optnas.search.study_file import load_search

BUDGETS = (5, 10, 20, 50, 100, 200)
FEW_SEEDS, SLOW_BUDGET = 10, 50
TRAINED = 40
"""The number of random choices that are trained, to know how long that takes."""


@cache
def losses():
    with TABLE.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    n = len(CHOICES)
    return {tuple(row[:n]): float(np.mean([float(x) for x in row[n:]])) for row in rows}


def suggest(trial):
    """Draws the parameters as the study does; returns the row of the table."""
    chosen = (
        trial.suggest_int("num_hidden_layers", 1, 5),
        trial.suggest_categorical("hidden_size", CHOICES["hidden_size"]),
        trial.suggest_categorical("activation", CHOICES["activation"]),
        trial.suggest_float("dropout", 0.0, 0.6, step=0.2),
        trial.suggest_categorical("recipe.optimizer", CHOICES["recipe.optimizer"]),
        trial.suggest_categorical("recipe.learning_rate", CHOICES["recipe.learning_rate"]),
    )
    return tuple(str(round(x, 6) if isinstance(x, float) else x) for x in chosen)


def objective(trial):
    """The loss of a row; NaN where training diverged."""
    loss = losses()[suggest(trial)]
    return loss if math.isfinite(loss) else math.nan


def regret(values):
    finite = values[np.isfinite(values)]
    return (finite.min() if len(finite) else max(losses_that_are_finite())) - min(losses().values())


def losses_that_are_finite():
    return [loss for loss in losses().values() if math.isfinite(loss)]


def build(trial):
    """The network of the study, with the activation as a choice between operations."""
    layers, features = [], 10
    depth = trial.suggest_int("num_hidden_layers", 1, 5)
    size = trial.suggest_categorical("hidden_size", CHOICES["hidden_size"])
    activations = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "tanh": nn.Tanh}
    dropout = trial.suggest_float("dropout", 0.0, 0.6, step=0.2)
    for _ in range(depth):
        activation = optnas.choose(trial, "activation", activations)
        layers += [nn.Linear(features, size), activation, nn.Dropout(dropout)]
        features = size
    return nn.Sequential(*layers, nn.Linear(features, 1))


def gradient(seed):
    """The sampler with a network to relax."""
    evaluator = load_search(STUDY).evaluator.configured(device="cpu")
    space = optnas.FunctionSpace(build, torch.zeros(1, 10))
    sampler = optnas.GradientSampler(seed=seed)
    sampler.train_with(optnas.Objective(space, evaluator, ("val_loss",)).relaxation)
    return sampler


def training_seconds():
    """The mean time of one training."""
    rows = Random(0).sample(sorted(losses()), TRAINED + 1)
    kinds = [type(values[0]) for values in CHOICES.values()]
    choices = [tuple(kind(x) for kind, x in zip(kinds, row, strict=True)) for row in rows]
    train(choices[0])  # the data is loaded
    started = time.perf_counter()
    for choice in choices[1:]:
        train(choice)
    return (time.perf_counter() - started) / TRAINED / len(SEEDS)


def work(name, seed, budget, training):
    """Regrets by evaluations and by time, the share of repeats, and facts of a relaxed network."""
    started, sampler, facts = time.perf_counter(), None, {}
    if name == LANGUAGE_MODEL:
        sampler = scripted_sampler(seed)
    elif name == GRADIENT:
        sampler = gradient(seed)
        empty = optuna.create_study(sampler=sampler)
        (found,) = sampler.prepare(empty).proposals
        facts = {"seconds": time.perf_counter() - started, "gap": found.gap}
        sampler.train_with(Learned(relaxed_of(empty)))
    moments = []

    def timed(trial):
        moments.append(time.perf_counter() - started)
        return objective(trial)

    values, repeats = run_sampler(name, timed, 1, seed, budget, sampler)
    return at_budgets(regret, values, BUDGETS), by_time(values, moments, training), repeats, facts


class Learned:
    """Gives the study that is run what was learned before."""

    def __init__(self, relaxed):
        self._relaxed = relaxed

    def names(self, settings, seed):
        return self._relaxed.names

    def train(self, settings, seed, report, stopped, done, keep):
        keep(self._relaxed)


def by_time(values, moments, training):
    """The regret once as much time has passed as a number of trainings takes, by that number.

    Where no evaluation has ended, or all have, the number is left out.

    Args:
        values: Those of the evaluations.
        moments: The seconds at which each began, without the trainings.
        training: The seconds of a training.
    """
    ends = np.array(moments) + training * np.arange(1, len(moments) + 1)
    done = {n: int((ends <= n * training).sum()) for n in BUDGETS}
    return {
        n: round(float(regret(values[:count])), 5)
        for n, count in done.items()
        if 0 < count < len(values)
    }


def main():
    options = arguments(__doc__, seeds=20, budget=200).parse_args()
    file = options.results or "regression_mlp"
    names = chosen(options, [*SAMPLERS, LANGUAGE_MODEL, GRADIENT])
    training = training_seconds() if names else 0.0
    tasks = []
    for name in names:
        slow = name == "optuna GP"
        budget = min(options.budget, SLOW_BUDGET) if slow else options.budget
        seeds = min(options.seeds, FEW_SEEDS) if slow else options.seeds
        tasks += [(name, seed, budget, training) for seed in range(seeds)]
    results = dict(run_all(work, tasks, options.jobs))
    found = {}
    for name in sorted(names, key=list(COLORS).index):
        runs = [result for task, result in results.items() if task[0] == name]
        curves, timed, repeats = ([run[i] for run in runs] for i in range(3))
        found[name] = {
            "repeats": float(np.mean(repeats)),
            "training": training,
            "curves": curves,
            "by time": timed,
        }
        if name == GRADIENT:
            found[name] |= {key: [facts[key] for *_, facts in runs] for key in ("seconds", "gap")}
    show(found or saved(file))
    if found:
        save(file, saved(file) | found)


def show(found):
    """Prints the tables and tests of results, by sampler."""
    finite = losses_that_are_finite()
    trainings = {f"{row['training']:.2f} s" for row in found.values()}
    print(
        f"{len(losses())} choices, {len(losses()) - len(finite)} of them diverge; best val_loss "
        f"{min(finite):.4f}, median {np.median(finite):.4f}; a training takes "
        f"{' or '.join(sorted(trainings))}"
    )
    repeats = {name: row["repeats"] for name, row in found.items()}
    for title, key in (
        ("trainings", "curves"),
        ("the time of that number of trainings", "by time"),
    ):
        curves = {name: row[key] for name, row in found.items()}
        print(f"regret after {title}")
        print(table(curves, repeats, BUDGETS, digits=4))
        print(verdicts(curves, PEERS, larger_is_better=False, budgets=BUDGETS))
    if relaxed := found.get(GRADIENT):
        print(
            f"gradient: discretising adds {np.mean(relaxed['gap']):.3f} ± "
            f"{np.std(relaxed['gap']):.3f} to the loss of the relaxed network; its training "
            f"took {np.mean(relaxed['seconds']):.0f} s"
        )


if __name__ == "__main__":
    main()
