"""Do inherited weights rank networks as training does? Compared with counts and zero-cost proxies.

    python benchmarks/shared_weights.py [--networks 100] [--seeds 3] [--keep FILE]

For each task random networks are trained by themselves, each with some seeds; a supernet is trained
with as many seeds, and scores all of them. Kendall's τ is taken between the loss with inherited
weights and the mean loss of the trained networks over the seeds, and between the latter and params,
flops and each zero-cost proxy. How well one seed of training ranks the networks by the mean of the
others says what can be expected. What all this costs is in `shared_search.py`.
Tasks: the networks of `studies/digits_shared.py`, trained for 30 epochs, and for 100, after which
half of them have lost what tells them apart; and 6,000 training images of Fashion-MNIST (Debian's
package dataset-fashion-mnist), 10 epochs. Prints tables and writes
benchmarks/results/shared_weights.json. About an hour and a half on two cores; with `--keep` each
trained network is kept in a file, from which an interrupted run resumes.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from common.comparison import run_all, save
from common.sharing import architectures, shared, space, training
from scipy.stats import kendalltau

import optnas
from optnas.candidate import Candidate
from optnas.evaluators import Report
from optnas.metrics import standard_metrics
from optnas.metrics.zero_cost import PROXIES

MINUS = ("params", "flops")
RANKED = {"digits": ("digits", 30), "digits-100": ("digits", 100), "fashion": ("fashion", 10)}
"""Tasks: whose networks, and for how many epochs they are trained."""


def candidate(name, architecture, seed=0):
    return Candidate(
        architecture,
        space(name).example_inputs,
        lambda: space(name).build(architecture),
        seed,
    )


def trained(name, epochs, network, seed):
    """The loss of a network that is trained by itself."""
    one = candidate(name, architectures(name, network + 1)[network], seed)
    evaluator = training(name, epochs).configured(device="cpu")
    torch.set_num_threads(1)
    return evaluator.evaluate(one, evaluator.suggest(None), Report())["val_loss"]


def inherited(name, networks, seed):
    """The losses of networks with inherited weights."""
    torch.set_num_threads(1)
    evaluator = shared(name, seed, epochs=1).configured(device="cpu").bind(space(name), None)
    return [
        evaluator.evaluate(candidate(name, a), evaluator.suggest(None), Report())["val_loss"]
        for a in architectures(name, networks)
    ]


def measured(name, networks):
    """Counts and proxies of all networks, and the milliseconds that each proxy takes."""
    torch.set_num_threads(1)
    data = training(name, 1).data
    given = {f"{p}, data": optnas.ZeroCost(p, data) for p in PROXIES if p != "synflow"}
    metrics = {m.name: m for m in standard_metrics() if m.name in (*MINUS, *PROXIES)} | given
    values, seconds = {n: [] for n in metrics}, {n: [] for n in metrics}
    for architecture in architectures(name, networks):
        for key, metric in metrics.items():
            one = candidate(name, architecture)
            started = time.process_time()
            try:
                value = metric.measure(one)
            except optnas.CandidateError:
                value = float("nan")
            seconds[key].append(time.process_time() - started)
            values[key].append(value)
    return values, {key: 1000 * float(np.median(times)) for key, times in seconds.items()}


def work(kind, *task):
    return {"trained": trained, "inherited": inherited, "measured": measured}[kind](*task)


def tau(first, second):
    """Kendall's, of the networks that have both numbers."""
    both = np.isfinite(first) & np.isfinite(second)
    return float(kendalltau(np.asarray(first)[both], np.asarray(second)[both])[0])


def kept(path):
    """What an interrupted run has trained: the loss by networks, epochs, network and seed."""
    if path is None or not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {("trained", *line[:-1]): line[-1] for line in lines}


def everything(options):
    """The result of each task of work."""
    found = kept(options.keep)
    nets, seeds = range(options.networks), range(options.seeds)
    tasks = [("trained", *RANKED[t], i, s) for s in seeds for t in options.tasks for i in nets]
    names = dict.fromkeys(RANKED[task][0] for task in options.tasks)
    tasks += [("inherited", name, options.networks, s) for name in names for s in seeds]
    tasks += [("measured", name, options.networks) for name in names]
    for task, result in run_all(work, [t for t in tasks if t not in found], options.jobs):
        found[task] = result
        if options.keep is not None and task[0] == "trained":
            with options.keep.open("a") as file:
                file.write(json.dumps([*task[1:], result]) + "\n")
    return found


def repeated(losses):
    """How well each seed of training ranks networks by the mean of the others."""
    seeds = range(losses.shape[1] if losses.shape[1] > 1 else 0)
    return [tau(losses[:, s], np.delete(losses, s, axis=1).mean(axis=1)) for s in seeds]


def summary(task, found, networks, seeds):
    """Rank correlations and costs of one task."""
    name, epochs = RANKED[task]
    losses = np.array([[found["trained", name, epochs, i, s] for s in seeds] for i in networks])
    real = losses.mean(axis=1)
    scored = [found["inherited", name, len(networks), s] for s in seeds]
    values, milliseconds = found["measured", name, len(networks)]
    return {
        "epochs": epochs,
        "tau": [tau(scores, real) for scores in scored],
        "tau of one training with the mean of the others": repeated(losses),
        "the same in the better half": repeated(losses[real.argsort()[: len(real) // 2]]),
        "tau of counts and proxies": {
            key: tau([-v for v in found_values], real) for key, found_values in values.items()
        },
        "networks with a value": {
            key: int(np.isfinite(found_values).sum()) for key, found_values in values.items()
        },
        "milliseconds": milliseconds,
        "losses": {"trained": losses.tolist(), "inherited": scored},
    }


def show(name, one):
    spread = "  ".join(f"{t:.3f}" for t in one["tau"])
    print(f"{name}: Kendall's tau with the loss of networks trained for {one['epochs']} epochs")
    print(f"  inherited weights     {np.mean(one['tau']):.3f}   (seeds: {spread})")
    ceiling = one["tau of one training with the mean of the others"]
    if ceiling:
        better = np.mean(one["the same in the better half"])
        print(f"  one training itself   {np.mean(ceiling):.3f}   (with the mean of the others;")
        print(f"                                in the better half of the networks {better:.3f})")
    for key, value in one["tau of counts and proxies"].items():
        known = one["networks with a value"][key]
        print(f"  {key:20} {value:7.3f}   {one['milliseconds'][key]:6.1f} ms   {known} networks")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", choices=RANKED, default=[*RANKED])
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--keep", type=Path, help="file for trained networks")
    options = parser.parse_args()
    found = everything(options)
    networks, seeds = range(options.networks), range(options.seeds)
    results = {name: summary(name, found, networks, seeds) for name in options.tasks}
    for name, one in results.items():
        show(name, one)
    if options.tasks == [*RANKED]:
        save("shared_weights", results)


if __name__ == "__main__":
    main()
