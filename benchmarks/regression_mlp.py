"""The textbook comparison: samplers on the 3,600 choices of studies/regression_mlp.py.

    python benchmarks/regression_mlp.py [--seeds 100]

Every choice of network and training was trained with three seeds
(benchmarks/regression_mlp_table.py); a choice's value is the mean val_loss, and a training that
diverged fails its trial. Prints the regret, the val_loss above that of the best choice, after 5, 50
and 200 evaluations, with paired tests, and writes benchmarks/results/regression_mlp.json. Optuna's
GP sampler, which has fewer seeds, and the predictor, which is told nothing here, have 50
evaluations. The gradient sampler has fewer seeds, too: it trains a relaxed network on the task's
data first, in which the activation is a choice between operations. That training isn't among the
evaluations; its seconds, and what discretising adds to its loss, are printed.
"""

import csv
import math
import time
from functools import cache

import numpy as np
import optuna
import torch
from common.comparison import (
    COLORS,
    GRADIENT,
    PEERS,
    PREDICTOR,
    SAMPLERS,
    arguments,
    at_budgets,
    run_all,
    run_sampler,
    save,
    saved,
    table,
    verdicts,
)
from regression_mlp_table import CHOICES, STUDY, TABLE
from torch import nn

import optnas
from optnas.samplers.gradient import relaxed_of
from optnas.search.study_file import load_search

BUDGETS = (5, 10, 20, 50, 100, 200)
FEW_SEEDS, SLOW_BUDGET = 10, 50


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


def work(name, seed, budget):
    """The regret at each budget, the share of repeats, and facts of a relaxed network."""
    if name != GRADIENT:
        values, repeats = run_sampler(name, objective, 1, seed, budget)
        return at_budgets(regret, values, BUDGETS), repeats, None
    started, sampler = time.perf_counter(), gradient(seed)
    empty = optuna.create_study(sampler=sampler)
    (found,) = sampler.prepare(empty).proposals
    facts = {"seconds": time.perf_counter() - started, "gap": found.gap}
    learned = relaxed_of(empty)

    class Kept:
        """Gives the study that is run what was learned just now."""

        def names(self, settings, seed):
            return learned.names

        def train(self, settings, seed, report, stopped, done, keep):
            keep(learned)

    sampler.train_with(Kept())
    values, repeats = run_sampler(name, objective, 1, seed, budget, sampler)
    return at_budgets(regret, values, BUDGETS), repeats, facts


def main():
    options = arguments(__doc__, seeds=100, budget=200).parse_args()
    names = options.samplers or [*SAMPLERS, GRADIENT]
    tasks = []
    for name in names:
        gp = name == "optuna GP"
        budget = min(options.budget, SLOW_BUDGET) if gp or name == PREDICTOR else options.budget
        seeds = min(options.seeds, FEW_SEEDS) if gp or name == GRADIENT else options.seeds
        tasks += [(name, seed, budget) for seed in range(seeds)]
    tasks.sort(key=lambda task: task[0] != "optuna GP")
    results = dict(run_all(work, tasks, options.jobs))
    finite = losses_that_are_finite()
    print(
        f"{len(losses())} choices, {len(losses()) - len(finite)} of them diverge; best val_loss "
        f"{min(finite):.4f}, median {np.median(finite):.4f}"
    )
    curves, repeats, relaxed = {}, {}, {}
    for name in sorted(names, key=list(COLORS).index):
        runs = [result for task, result in results.items() if task[0] == name]
        curves[name], repeats[name] = [c for c, *_ in runs], [r for _, r, _ in runs]
        if name == GRADIENT:
            relaxed = {key: [f[key] for *_, f in runs] for key in ("seconds", "gap")}
    print(table(curves, repeats, BUDGETS, digits=4))
    print(verdicts(curves, PEERS, larger_is_better=False, budgets=BUDGETS))
    if relaxed:
        print(
            f"gradient: discretising adds {np.mean(relaxed['gap']):.3f} ± "
            f"{np.std(relaxed['gap']):.3f} to the loss of the relaxed network; its training "
            f"took {np.mean(relaxed['seconds']):.0f} s"
        )
    save(
        "regression_mlp",
        saved("regression_mlp")
        | {
            name: {"repeats": float(np.mean(repeats[name])), "curves": curves[name]}
            | (relaxed if name == GRADIENT else {})
            for name in curves
        },
    )


if __name__ == "__main__":
    main()
