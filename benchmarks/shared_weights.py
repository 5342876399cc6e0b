"""Do inherited weights rank networks as training does? Beside counts and zero-cost proxies.

    python benchmarks/shared_weights.py [--networks 100] [--seeds 3] [--tasks digits fashion]

For each task random networks are trained by themselves, each with some seeds; a supernet is trained
with as many seeds, and scores all of them. Kendall's τ is taken between the loss with inherited
weights and the mean loss of the trained networks over the seeds, and between the latter and params,
flops and each zero-cost proxy. How well one seed of training ranks the networks by the mean of the
others says what can be expected. Times are CPU seconds of one thread, as a share of one training.
Tasks: `studies/digits_shared.py`, and 6,000 training images of Fashion-MNIST (Debian's package
dataset-fashion-mnist). Prints tables and writes benchmarks/results/shared_weights.json. About 45
minutes on two cores; `--reuse` takes the trained networks of the earlier run.
"""

import time

import numpy as np
import torch
from scipy.stats import kendalltau
from sharing import architectures, space, steps, training

import optnas
from optnas.candidate import Candidate
from optnas.evaluators import Report
from optnas.metrics import standard_metrics
from optnas.metrics.zero_cost import PROXIES

MINUS = ("params", "flops")


def candidate(name, architecture, seed=0):
    return Candidate(
        architecture,
        space(name).example_inputs,
        lambda: space(name).build(architecture),
        seed,
    )


def trained(name, network, seed):
    """The loss of a network that is trained by itself, and the seconds that took."""
    one = candidate(name, architectures(name, network + 1)[network], seed)
    evaluator = training(name).configured(device="cpu")
    torch.set_num_threads(1)
    started = time.process_time()
    scores = evaluator.evaluate(one, evaluator.suggest(None), Report())
    return scores["val_loss"], time.process_time() - started


def inherited(name, networks, seed):
    """Losses with inherited weights, and the seconds for the supernet and for one network."""
    torch.set_num_threads(1)
    recipe = optnas.Recipe(learning_rate=0.01, seed=seed)
    evaluator = optnas.SharedWeightsEvaluator(training(name), steps(name), recipe=recipe)
    evaluator = evaluator.configured(device="cpu").placed(space(name), None)
    started = time.process_time()
    evaluator.prepare()
    prepared = time.process_time()
    losses = [
        evaluator.evaluate(candidate(name, a), evaluator.suggest(None), Report())["val_loss"]
        for a in architectures(name, networks)
    ]
    return losses, prepared - started, (time.process_time() - prepared) / networks


def measured(name, networks):
    """Counts and proxies of all networks, and the milliseconds that each proxy takes."""
    torch.set_num_threads(1)
    data = training(name).data
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
    both = np.isfinite(first) & np.isfinite(second)
    return float(kendalltau(np.asarray(first)[both], np.asarray(second)[both])[0])
