"""What the comparisons of samplers share: the samplers, running them, tables, tests, options."""

import argparse
import json
import math
import multiprocessing
import os
import platform
import threading
import time
import warnings
from pathlib import Path

import moocore
import numpy as np
import optuna
from scipy.stats import wilcoxon

from optnas.samplers import (
    LocalSearchSampler,
    PredictorSampler,
    QLearningSampler,
    RegularizedEvolutionSampler,
    ReinforceSampler,
    Stage,
    StagedSampler,
)

RESULTS = Path(__file__).parents[1] / "results"
BUDGETS = (50, 100, 200, 300, 500)
CURVE = (*range(10, 120, 10), *range(125, 500, 25), 500)

PREDICTOR = "predictor"
GRADIENT = "gradient"  # trains a network first, so it is run where there is one
LANGUAGE_MODEL = "language model"  # run where a script answers in its place
OURS = {
    PREDICTOR: lambda seed, **known: PredictorSampler(seed=seed, **known),
    "evolution": lambda seed: RegularizedEvolutionSampler(seed=seed),
    "local search": lambda seed: LocalSearchSampler(seed=seed),
    "reinforce": lambda seed: ReinforceSampler(seed=seed),
    "q-learning": lambda seed: QLearningSampler(seed=seed),
}
# Run where it is asked for, on the conditional benchmark and NAS-Bench-201: first depth and kinds
# of layers, then their details; first the edges from the input, then the others.
STAGES = [
    Stage(".*", 10),
    Stage(r"depth|.*\.kind|edge0-.", 40),
    Stage(r".*\.\w+(?<!kind)|edge[12]-.", 40),
]
STAGED = {
    "evolution, staged": lambda seed: StagedSampler(RegularizedEvolutionSampler(seed=seed), STAGES),
}
PEERS = {
    "optuna random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "optuna NSGA-II 20": lambda seed: optuna.samplers.NSGAIISampler(seed=seed, population_size=20),
    "optuna NSGA-II 50": lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
    "optuna NSGA-III": lambda seed: optuna.samplers.NSGAIIISampler(seed=seed),
    "optuna TPE": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "optuna TPE multivariate": lambda seed: optuna.samplers.TPESampler(
        seed=seed, multivariate=True
    ),
    "optuna GP": lambda seed: optuna.samplers.GPSampler(seed=seed),
}
SAMPLERS = OURS | PEERS
COLORS = {
    PREDICTOR: "#111111",
    "evolution": "#0b6e4f",
    "local search": "#d1495b",
    "reinforce": "#3d5a98",
    "q-learning": "#7a5c2e",
    "evolution, staged": "#6fbf9f",
    GRADIENT: "#c2410c",
    LANGUAGE_MODEL: "#be5b9a",
    "optuna random": "#9a9a9a",
    "optuna NSGA-II 20": "#e3a93b",
    "optuna NSGA-II 50": "#b07d12",
    "optuna NSGA-III": "#c9b27c",
    "optuna TPE": "#8f6bb3",
    "optuna TPE multivariate": "#5f3f86",
    "optuna GP": "#4fb3bf",
    "pymoo NSGA-II": "#c58b6d",
}


def run_sampler(name, objective, objectives, seed, budget, sampler=None, **known):
    """Values of the trials in order, shape (budget, objectives), and how many were repeats.

    `sampler` is one that isn't made by its name; `known` is what the predictor is given: the space,
    costs and proxies.
    """
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if sampler is None:
        make = (SAMPLERS | STAGED)[name]
        sampler = make(seed, **known) if name == PREDICTOR else make(seed)
    study = optuna.create_study(directions=["minimize"] * objectives, sampler=sampler)
    study.optimize(objective, n_trials=budget, catch=(ArithmeticError,))
    trials = study.get_trials(deepcopy=False)
    values = [t.values or [math.inf] * objectives for t in trials]
    return np.array(values), 1 - len({str(t.params) for t in trials}) / len(trials)


def at_budgets(measure, values, budgets=CURVE):
    """`measure` of the first trials, for each budget there are trials enough for."""
    return {n: round(float(measure(values[:n])), 5) for n in budgets if n <= len(values)}


def best_known(runs):
    """The measure where no true front is known: a share of the hypervolume of all runs together.

    Of natural logarithms, scaled so that the ideal point of their front is 0 and its nadir 1 (an
    objective in which the front doesn't vary is only moved to 0); reference point 1.1. `runs` are
    arrays of values; gives a function of such an array.
    """
    logs = np.log(np.vstack(runs))
    front = np.unique(logs[moocore.is_nondominated(logs, keep_weakly=False)], axis=0)
    ideal, extent = front.min(axis=0), np.ptp(front, axis=0)
    extent[extent == 0] = 1.0  # the front is one point, or all of it is equal in an objective
    reference = [1.1] * front.shape[1]
    whole = moocore.hypervolume((front - ideal) / extent, ref=reference)

    def share(values):
        scaled = (np.log(values) - ideal) / extent
        scaled = scaled[(scaled < 1.1).all(axis=1)]
        return moocore.hypervolume(scaled, ref=reference) / whole if len(scaled) else 0.0

    return share


def end_with_parent():
    """Ends this process as soon as the one that started it is gone, even if it was killed."""

    def wait():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def run_all(work, tasks, jobs):
    """`work(*task)` of each task, in processes; gives (task, result) as they come."""
    started = time.monotonic()
    # Two processes with two threads each, on two cores, take twenty times as long (the GP sampler).
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, initializer=end_with_parent) as pool:
        waiting = [(task, pool.apply_async(work, task)) for task in tasks]
        for n, (task, result) in enumerate(waiting, 1):
            yield task, result.get()
            if n % 20 == 0 or n == len(tasks):
                print(f"{n} of {len(tasks)} runs, {time.monotonic() - started:.0f} s", flush=True)


def table(curves, repeats, budgets=BUDGETS, digits=3):
    """Mean and standard deviation over seeds, a row a sampler; curves: name -> [{n: value}]."""
    lines = [f"{'':24} {'seeds':>5} " + " ".join(f"{n:>13}" for n in budgets) + "   repeats"]
    for name, runs in curves.items():
        cells = []
        for n in budgets:
            values = [run[n] for run in runs if n in run]
            cell = f"{np.mean(values):.{digits}f} ± {np.std(values):.{digits}f}" if values else ""
            cells.append(f"{cell:>13}")
        lines.append(
            f"{name:24} {len(runs):5} " + " ".join(cells) + f"   {np.mean(repeats[name]):.0%}"
        )
    return "\n".join(lines)


def paired(curves, ours, peer, budget, larger_is_better):
    """Mean difference and the one-sided p of Wilcoxon's signed-rank test, seed by seed."""
    pairs = [
        (a[budget], b[budget])
        for a, b in zip(curves[ours], curves[peer], strict=False)
        if budget in a and budget in b
    ]
    if not pairs:
        return None
    first, second = np.array(pairs).T
    if np.array_equal(first, second):
        return 0.0, 1.0
    side = "greater" if larger_is_better else "less"
    return float((first - second).mean()), float(wilcoxon(first, second, alternative=side).pvalue)


def verdicts(curves, peers, larger_is_better, budgets=BUDGETS):
    """The paired tests of every sampler of ours against the peers."""
    lines = []
    for ours in (name for name in OURS if name in curves):
        for peer in (name for name in peers if name in curves):
            cells = []
            for n in budgets:
                found = paired(curves, ours, peer, n, larger_is_better)
                cells.append(f"{n}: {found[0]:+.3f} (p {found[1]:.1e})" if found else "")
            lines.append(f"{ours} - {peer}:  " + "  ".join(filter(None, cells)))
    return "\n".join(lines)


def saved(name):
    """What an earlier run wrote, with the budgets as numbers again."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return {}

    def numbers(content):
        if isinstance(content, list):
            return [numbers(x) for x in content]
        if isinstance(content, dict):
            return {int(k) if k.isdigit() else k: numbers(v) for k, v in content.items()}
        return content

    content = numbers(json.loads(path.read_text()))
    del content["machine"]
    return content


def save(name, content):
    RESULTS.mkdir(exist_ok=True)
    machine = {"python": platform.python_version(), "optuna": optuna.__version__}
    path = RESULTS / f"{name}.json"
    lines = [f"{json.dumps(k)}: {_lines(v)}" for k, v in {"machine": machine, **content}.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"wrote results/{path.name}")


def _lines(content):
    """JSON with one line for a sampler."""
    if isinstance(content, dict) and any(isinstance(v, dict) for v in content.values()):
        items = [f"{json.dumps(k)}: {_lines(v)}" for k, v in content.items()]
        return "{\n" + ",\n".join(items) + "\n}"
    return json.dumps(content, separators=(",", ":"))


def arguments(doc, **defaults):
    """The options that all comparisons have."""
    parser = argparse.ArgumentParser(description=doc.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=defaults.get("seeds", 30))
    parser.add_argument("--budget", type=int, default=defaults.get("budget", 500))
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument(
        "--samplers",
        nargs="*",
        metavar="NAME",
        help="run only these; without a name, run none and print the results that are there",
    )
    parser.add_argument("--html", type=Path, help="also write the figure here")
    parser.add_argument("--results", metavar="NAME", help="write results/NAME.json, and print that")
    return parser


def chosen(options, names):
    """What `--samplers` names: all by default; nothing is run where it has no name."""
    return list(names) if options.samplers is None else options.samplers
