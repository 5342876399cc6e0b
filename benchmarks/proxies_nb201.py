"""How well zero-cost proxies rank the cells of NAS-Bench-201, and what they take.

    pip install -c constraints.txt -e '.[benchmark]'
    python benchmarks/proxies_nb201.py [--cells 160] [--seed 7]

Kendall's τ between each proxy of random cells and their validation accuracy (the mean over the
table's training seeds) for CIFAR-10 and ImageNet16-120; also among the half of the cells that is
better. A cell without a number comes last. Proxies are those of `ZeroCost` with its defaults, of
the network for CIFAR-10; `live_params` is what the predictor sees. Sums of proxies are sums of the
logarithms of ranks, as AZ-NAS (arXiv 2403.19232) has them. The time of each is the median CPU time
of a cell on one thread, with making the network. Prints a table and writes
benchmarks/results/proxies_nb201.json. About six minutes of one core.
"""

import argparse
import itertools
import time

import numpy as np
import torch
from common.comparison import save
from scipy.stats import kendalltau, rankdata

import optnas
from optnas.candidate import Candidate
from optnas.evaluators.tabular import nasbench201_table
from optnas.metrics.zero_cost import PROXIES, zero_cost
from optnas.search_spaces.nasbench201 import OPERATIONS, NASBench201Architecture, NASBench201Space

SPACE = NASBench201Space()
DATASETS = ("cifar10", "imagenet16-120")
METRICS = (optnas.Params(), *map(optnas.ZeroCost, PROXIES))
OF_BLOCKS = ("expressivity", "progressivity", "trainability")
SUMS = {
    "AZ-NAS (the three of blocks, params)": (*OF_BLOCKS, "params"),
    "the three of blocks, synflow, live_params": (*OF_BLOCKS, "synflow", "live_params"),
    "synflow, live_params": ("synflow", "live_params"),
}


def candidate(architecture):
    return Candidate(architecture, SPACE.example_inputs, lambda: SPACE.build(architecture))


def measured(architectures):
    """The values of each proxy, -inf where a cell has none, and the seconds that each takes."""
    measures = {metric.name: metric.measure for metric in METRICS}
    measures["live_params"] = lambda cell: zero_cost(cell)["live_params"]
    values, seconds = {name: [] for name in measures}, {name: [] for name in measures}
    for architecture in architectures:
        for name, measure in measures.items():
            started = time.process_time()
            try:
                value = measure(candidate(architecture))
            except optnas.CandidateError:
                value = -np.inf
            seconds[name].append(time.process_time() - started)
            values[name].append(value)
    medians = {name: float(np.median(times)) for name, times in seconds.items()}
    return {name: np.nan_to_num(found, nan=-np.inf) for name, found in values.items()}, medians


def with_sums(values):
    """The values, and the sums of the logarithms of ranks."""
    logs = {name: np.log(rankdata(found) / len(found)) for name, found in values.items()}
    return values | {name: sum(logs[part] for part in parts) for name, parts in SUMS.items()}


def correlations(values, accuracy):
    """Kendall's τ of each proxy, among all cells and among the better half."""
    better = accuracy >= np.median(accuracy)
    return {
        name: [float(kendalltau(v[rows], accuracy[rows])[0]) for rows in (accuracy > -1, better)]
        for name, v in values.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cells", type=int, default=160, help="random cells")
    parser.add_argument("--seed", type=int, default=7, help="draws the cells")
    options = parser.parse_args()
    torch.set_num_threads(1)
    every = list(itertools.product(OPERATIONS, repeat=6))
    chosen = np.random.default_rng(options.seed).choice(len(every), options.cells, replace=False)
    cells = [NASBench201Architecture(every[i]) for i in chosen]
    values, seconds = measured(cells)
    taus = {}
    for dataset in DATASETS:
        rows = nasbench201_table(dataset)
        accuracy = np.array([100 - np.mean(rows[str(cell)]["val_error"]) for cell in cells])
        taus[dataset] = correlations(with_sums(values), accuracy)
    print(f"{'τ (τ in the better half)':42} {DATASETS[0]:>15} {DATASETS[1]:>15}      ms")
    for name in taus[DATASETS[0]]:
        found = [f"{taus[d][name][0]:.2f} ({taus[d][name][1]:.2f})" for d in DATASETS]
        taken = f"{1000 * seconds[name]:7.0f}" if name in seconds else ""
        print(f"{name:42} {found[0]:>15} {found[1]:>15} {taken}")
    save(
        "proxies_nb201",
        {
            "cells": options.cells,
            "seed": options.seed,
            "tau of all, of the better half": taus,
            "seconds": seconds,
        },
    )


if __name__ == "__main__":
    main()
