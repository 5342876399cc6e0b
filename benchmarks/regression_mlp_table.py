"""Trains every choice of studies/regression_mlp.py with three seeds: a table of 3,600 rows.

    python benchmarks/regression_mlp_table.py [--jobs 2]

Writes benchmarks/results/regression_mlp_table.csv, which benchmarks/regression_mlp.py reads; what
is there already is kept, so it can be stopped and started again. About half an hour on two cores.
A training that diverged is `inf`.
"""

import argparse
import csv
import itertools
import multiprocessing
from functools import cache
from pathlib import Path

import torch
from optuna.trial import FixedTrial

from optnas.errors import CandidateError
from optnas.evaluators import Report
from optnas.search.study_file import load_search

STUDY = Path(__file__).parent.parent / "studies" / "regression_mlp.py"
TABLE = Path(__file__).parent / "results" / "regression_mlp_table.csv"
CHOICES = {
    "num_hidden_layers": (1, 2, 3, 4, 5),
    "hidden_size": (32, 64, 128, 256, 512),
    "activation": ("relu", "leaky_relu", "tanh"),
    "dropout": (0.0, 0.2, 0.4, 0.6),
    "recipe.optimizer": ("adam", "sgd", "rmsprop"),
    "recipe.learning_rate": (0.1, 0.01, 0.001, 0.0001),
}
SEEDS = (0, 1, 2)


@cache
def objective():
    torch.set_num_threads(1)
    return load_search(str(STUDY)).objective()


def train(values):
    """The val_loss of one choice for each seed."""
    trial = FixedTrial(dict(zip(CHOICES, values, strict=True)))
    losses = []
    for seed in SEEDS:
        candidate = objective().candidate(trial, seed)
        recipe = objective().evaluator.suggest(trial)
        try:
            scores = objective().evaluator.evaluate(candidate, recipe, Report())
            losses.append(f"{scores['val_loss']:.6g}")
        except CandidateError:
            losses.append("inf")
    return values, losses


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    jobs = parser.parse_args().jobs
    header = [*CHOICES, *(f"val_loss {seed}" for seed in SEEDS)]
    done = set()
    if TABLE.exists():
        with TABLE.open(newline="") as file:
            done = {tuple(row[: len(CHOICES)]) for row in csv.reader(file)}
    todo = [v for v in itertools.product(*CHOICES.values()) if tuple(map(str, v)) not in done]
    context = multiprocessing.get_context("spawn")
    with TABLE.open("a", newline="") as file, context.Pool(jobs) as pool:
        rows = csv.writer(file, lineterminator="\n")
        if not done:
            rows.writerow(header)
        for n, (values, losses) in enumerate(pool.imap(train, todo, chunksize=4), 1):
            rows.writerow([*values, *losses])
            file.flush()
            if n % 100 == 0 or n == len(todo):
                print(f"{n} of {len(todo)}", flush=True)


if __name__ == "__main__":
    main()
