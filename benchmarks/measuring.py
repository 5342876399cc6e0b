"""What it costs to know a candidate before its training, in `MacroCNNSpace` for digits.

    python benchmarks/measuring.py

Seconds to build and measure a candidate, by each metric (but energy) at its default
settings; of a trial that a bound ends, in an SQLite study; of the exact costs for 300 new
proposals of 6 layers; and the nanoseconds that a training step pays for looking whether a process
wants to measure. One CPU thread.
"""

import json
import tempfile
import time
import timeit
from contextlib import suppress
from pathlib import Path

import numpy as np
import optuna
import torch
from optuna.samplers import RandomSampler

import optnas
from optnas.candidate import Candidate
from optnas.devices.sharing import Sharing
from optnas.errors import CandidateError
from optnas.metrics import standard_metrics
from optnas.storage.open import open_storage
from optnas.storage.urls import sqlite_url

RESULTS = Path(__file__).parent / "results" / "measuring.json"
DATA = optnas.digits()
OBJECTIVES = ("val_loss", "macs", "params", "peak_memory_mb", "latency_ms")


def candidates(number: int) -> dict[str, list[float]]:
    """Seconds of each metric, and of all, for a number of candidates."""
    space = optnas.MacroCNNSpace(DATA.input_shape, DATA.outputs)
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    found: dict[str, list[float]] = {"build": [], "all": []}
    for _ in range(number):
        architecture = space.suggest(study.ask())
        candidate = Candidate(
            architecture, space.example_inputs, lambda a=architecture: space.build(a)
        )
        begin = start = time.perf_counter()
        assert candidate.model
        found["build"].append(time.perf_counter() - start)
        for metric in standard_metrics():
            if metric.name == "energy_j":  # its time is a setting, and few machines have a counter
                continue
            metric = metric.on("cpu")
            start = time.perf_counter()
            with suppress(CandidateError):  # a network of one block has no progressivity
                metric.measure(candidate)
                metric.check(candidate)
            found.setdefault(metric.name, []).append(time.perf_counter() - start)
        found["all"].append(time.perf_counter() - begin)
    return found


def pruned(bound: str, value: float, number: int) -> list[float]:
    """Seconds of trials that a bound ends, asked and told in an SQLite study."""
    objective = optnas.Objective(
        optnas.MacroCNNSpace(DATA.input_shape, DATA.outputs),
        optnas.TrainingEvaluator(DATA),
        OBJECTIVES,
        constraints={bound: value},
        device="cpu",
    )
    with tempfile.TemporaryDirectory() as folder:
        study = optuna.create_study(
            storage=open_storage(sqlite_url(Path(folder) / "study.db"), create=True),
            directions=objective.directions,
            sampler=optnas.RegularizedEvolutionSampler(seed=0),
        )
        seconds = []
        for _ in range(number):
            start = time.perf_counter()
            study.optimize(objective, n_trials=1)
            seconds.append(time.perf_counter() - start)
        assert all(t.state == optuna.trial.TrialState.PRUNED for t in study.trials)
    return seconds


def proposals(number: int) -> float:
    """Seconds for the exact costs of a number of new architectures of 6 layers."""
    space = optnas.MacroCNNSpace(DATA.input_shape, DATA.outputs, depth=(6, 6))
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    params = []
    for _ in range(number):
        trial = study.ask()
        space.suggest(trial)
        params.append(trial.params)
    objective = optnas.Objective(
        space, optnas.TrainingEvaluator(DATA), ("val_loss", "flops", "params", "latency_ms")
    )
    start = time.perf_counter()
    for chosen in params:
        assert objective.preview(chosen).values
    return time.perf_counter() - start


def look() -> float:
    """Nanoseconds of a look at the gate of a device where no process waits."""
    with Sharing(torch.device("cpu")) as sharing:
        return min(timeit.repeat(sharing.give_way, number=100_000, repeat=5)) / 100_000 * 1e9


def main() -> None:
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    first = proposals(300)
    found = candidates(30)
    print("\nmilliseconds a candidate, median and most")
    for name, seconds in found.items():
        print(f"  {name:20} {1e3 * np.median(seconds):8.1f} {1e3 * max(seconds):8.1f}")
    results: dict[str, object] = {
        "candidate_s": {n: [float(np.median(s)), max(s)] for n, s in found.items()},
        "proposals_300_s": first,
        "look_ns": look(),
        "pruned_s": {},
    }
    print("milliseconds of a trial that a bound ends, median and most")
    for bound in ("params", "macs", "peak_memory_mb"):
        seconds = pruned(bound, 0.0, 30)
        results["pruned_s"][bound] = [float(np.median(seconds)), max(seconds)]
        print(f"  {bound:20} {1e3 * np.median(seconds):8.1f} {1e3 * max(seconds):8.1f}")
    print(f"300 proposals: {first:.2f} s; a look at the gate: {results['look_ns']:.0f} ns")
    rounded = json.loads(json.dumps(results), parse_float=lambda text: round(float(text), 6))
    RESULTS.write_text(json.dumps(rounded) + "\n")


if __name__ == "__main__":
    main()
