"""What a sampler costs: seconds for an ask and a tell, as the study grows.

    python benchmarks/sampler_overhead.py [--sizes 100 1000 10000 30000] [--samplers NAME ...]

A study of four objectives and ten parameters with five choices each (cells of NAS-Bench-201's
operations, with ten edges in place of six, so that 30,000 trials don't exhaust the space) is filled
with random finished trials; then 40 are asked and told, one after the other: median and 90th
percentile. `resume` is the first ask of a new process, which reads the whole history and learns
from it. Prints a table and writes benchmarks/results/sampler_overhead.json. With `--processor` it
measures processor time, where a machine does other things, too, and writes
sampler_overhead_processor.json.
"""

import argparse
import itertools
import json
import platform
import random
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import create_trial

from optnas.samplers import (
    GradientSampler,
    LocalSearchSampler,
    PredictorSampler,
    RegularizedEvolutionSampler,
    ReinforceSampler,
)
from optnas.samplers.gradient import Proposal, Relaxed
from optnas.storage.open import open_storage

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = 10
SPACE = {f"edge{i}": CategoricalDistribution(OPERATIONS) for i in range(1, EDGES + 1)}
DIRECTIONS = ["minimize"] * 4


class Learned:
    """Logits as a relaxed network may have learned them; its training isn't timed here."""

    def names(self, settings, seed):
        return {}

    def train(self, settings, seed, report, stopped, done, keep):
        rng = random.Random(0)
        rows = [{f"{n}#5": [rng.gauss(0, 1) for _ in OPERATIONS] for n in SPACE} for _ in range(8)]
        found = []
        for row in rows:
            likeliest = {n: OPERATIONS[row[f"{n}#5"].index(max(row[f"{n}#5"]))] for n in SPACE}
            found.append(Proposal((0.25,) * 4, likeliest, row, 1.0, 1.0, 0.0))
        keep(Relaxed({}, ("loss", *"abc"), tuple(found), settings.epochs))


def gradient():
    sampler = GradientSampler(seed=0)
    sampler.train_with(Learned())
    return sampler


COSTS = (0.0, 0.1, 4.0, 36.0, 0.2)
OURS = {
    "PredictorSampler": lambda: PredictorSampler(seed=0),
    "RegularizedEvolutionSampler": lambda: RegularizedEvolutionSampler(seed=0),
    "LocalSearchSampler": lambda: LocalSearchSampler(seed=0),
    "ReinforceSampler": lambda: ReinforceSampler(seed=0),
    "GradientSampler": gradient,
}
PEERS = {
    "optuna RandomSampler": lambda: optuna.samplers.RandomSampler(seed=0),
    "optuna NSGAIISampler": lambda: optuna.samplers.NSGAIISampler(seed=0),
    "optuna TPESampler": lambda: optuna.samplers.TPESampler(seed=0),
}
SAMPLERS = OURS | PEERS
REPEATS = 40


def values(params):
    """Four objectives of the shape of NAS-Bench-201's: an error and three costs."""
    ops = [OPERATIONS.index(op) for op in params.values()]
    cost = sum(COSTS[op] for op in ops)
    noise = random.Random(str(ops)).random()
    return 60 / (1 + cost) + 5 * noise, 8 + cost, 0.1 + 0.01 * cost + 0.003 * ops.count(2), cost / 9


def filled(storage, size):
    """A study with random finished trials."""
    study = optuna.create_study(study_name="s", storage=storage, directions=DIRECTIONS)
    rng = random.Random(0)
    trials = []
    for _ in range(size):
        params = {name: rng.choice(OPERATIONS) for name in SPACE}
        trials.append(create_trial(values=values(params), params=params, distributions=SPACE))
    for trial in trials:
        study.add_trial(trial)


def ask_and_tell(study, clock):
    start = clock()
    trial = study.ask()
    params = {name: trial.suggest_categorical(name, d.choices) for name, d in SPACE.items()}
    study.tell(trial, values(params))
    return clock() - start


def measure(storage, sampler, clock):
    study = optuna.create_study(
        study_name="s",
        storage=storage,
        directions=DIRECTIONS,
        sampler=sampler,
        load_if_exists=True,
    )
    first = ask_and_tell(study, clock)
    seconds, deadline = [], time.monotonic() + 20
    while len(seconds) < REPEATS and (len(seconds) < 5 or time.monotonic() < deadline):
        seconds.append(ask_and_tell(study, clock))
    return {
        "median_ms": 1e3 * statistics.median(seconds),
        "p90_ms": 1e3 * statistics.quantiles(seconds, n=10)[-1],
        "resume_s": first,
    }


def show(result):
    print(
        f"{result['storage']:8} {result['trials']:7}  {result['sampler']:28} "
        f"{result['median_ms']:10.2f} {result['p90_ms']:9.2f} {result['resume_s']:9.3f}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10_000, 30_000])
    parser.add_argument(
        "--samplers",
        nargs="*",
        choices=SAMPLERS,
        default=list(SAMPLERS),
        help="measure only these; without a name, none: print the results that are there",
    )
    parser.add_argument("--storages", nargs="+", choices=["memory", "sqlite"])
    parser.add_argument("--processor", action="store_true", help="measure processor time")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.processor else time.perf_counter
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file = "sampler_overhead_processor" if arguments.processor else "sampler_overhead"
    path = Path(__file__).parent / "results" / f"{file}.json"
    head = ("storage", "trials", "sampler", "median ms", "p90 ms", "resume s")
    print("{:8} {:>7}  {:28} {:>10} {:>9} {:>9}".format(*head))
    if not arguments.samplers:
        for result in json.loads(path.read_text())["results"]:
            show(result)
        return
    results = []
    for kind, size in itertools.product(
        arguments.storages or ["memory", "sqlite"], arguments.sizes
    ):
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/study.db"
            memory = optuna.storages.InMemoryStorage()
            filled(open_storage(url, create=True) if kind == "sqlite" else memory, size)
            for name in arguments.samplers:
                # A fresh object on the same file is what a new process has.
                storage = open_storage(url, create=True) if kind == "sqlite" else memory
                found = measure(storage, SAMPLERS[name](), clock)
                results.append({"storage": kind, "trials": size, "sampler": name, **found})
                show(results[-1])
    machine = {"python": platform.python_version(), "optuna": optuna.__version__}
    path.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")
    print(f"wrote {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


if __name__ == "__main__":
    main()
