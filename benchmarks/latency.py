"""How repeatable is a latency? 20 networks, each measured in fresh processes over several minutes.

    python benchmarks/latency.py            # about 20 minutes; leave the machine alone meanwhile
    python benchmarks/latency.py --rounds 4 --device cuda

Each round starts two processes one after the other. The first measures all networks, in an order of
its own, on an idle machine: with optnas, with `torch.utils.benchmark.Timer.blocked_autorange` for
the same time, and as the mean of 100 passes after 10. The second does so with two processes that
train through optnas. Some networks differ from their neighbour by less than 5 %. On a GPU every
pass of the other two methods ends with a synchronisation, too.

Printed: the coefficient of variation over processes (mean over networks), how often the stated 95 %
interval holds the median over processes, the rank correlation between processes, how far the busy
machine's median lies from the idle one's, and ours from the others' on the idle one.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import optuna
import torch
from scipy.stats import spearmanr
from torch import nn
from torch.utils.benchmark import Timer

import optnas
from optnas.candidate import Candidate
from optnas.devices.device import device_name, resolve_device, synchronize

RESULTS = Path(__file__).parent / "results"
# Channels, layers and kernel size; many in pairs that are nearly the same.
NETWORKS = [
    (8, 2, 3), (9, 2, 3), (16, 2, 3), (16, 3, 3), (17, 3, 3), (32, 3, 3), (33, 3, 3), (32, 4, 3),
    (34, 4, 3), (48, 4, 3), (50, 4, 3), (64, 4, 3), (66, 4, 3), (64, 5, 3), (64, 5, 5), (65, 5, 5),
    (96, 5, 3), (98, 5, 3), (128, 5, 3), (128, 6, 5),
]  # fmt: skip
IMAGE = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def network(channels: int, layers: int, kernel_size: int) -> nn.Module:
    blocks: list[nn.Module] = []
    for i in range(layers):
        before = channels if i else 1
        blocks += [
            nn.Conv2d(before, channels, kernel_size, padding=kernel_size // 2, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        ]
        if i % 2:
            blocks.append(nn.MaxPool2d(2))
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*blocks, *pool, nn.Linear(channels, 10))


def measure_all(seed: int, name: str, autorange: bool) -> dict[str, list]:
    """One process: milliseconds of each network by each method, and our intervals."""
    torch.set_num_threads(1)
    latency, device = optnas.Latency(name), resolve_device(name)
    latency.measure(Candidate("", IMAGE, lambda: network(8, 2, 3)))  # first calls
    x = IMAGE.to(device)
    rng = random.Random(seed)
    order = list(range(len(NETWORKS)))
    rng.shuffle(order)
    found = {name: [0.0] * len(order) for name in ("optnas", "autorange", "mean", "seconds")}
    found["interval"] = [None] * len(order)
    found["alone"] = [None] * len(order)
    for i in order:
        candidate = Candidate("", IMAGE, lambda i=i: network(*NETWORKS[i]))
        model = candidate.to_measure().to(device)

        def one_pass(model: nn.Module = model) -> None:
            model(x)
            synchronize(device)

        start = time.perf_counter()
        found["optnas"][i] = latency.measure(candidate)
        found["seconds"][i] = time.perf_counter() - start
        found["interval"][i] = candidate.details["latency_ms"]["interval"]
        found["alone"][i] = candidate.details["latency_ms"]["alone"]
        with torch.inference_mode():
            if autorange:
                timer = Timer("one_pass()", globals={"one_pass": one_pass})
                timed = timer.blocked_autorange(min_run_time=found["seconds"][i])
                found["autorange"][i] = 1e3 * timed.median
            for _ in range(10):
                one_pass()
            start = time.perf_counter()
            for _ in range(100):
                one_pass()
            found["mean"][i] = 10 * (time.perf_counter() - start)
    return found


def rounded(value: object) -> object:
    """Six decimals are a nanosecond."""
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return round(value, 6) if isinstance(value, float) else value


def train_forever(seed: int, device: str) -> None:
    """What a worker does: trials of the digits study, one after the other."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    data = optnas.digits()
    objective = optnas.Objective(
        optnas.MacroCNNSpace(data.input_shape, data.outputs, depth=(4, 6)),
        optnas.TrainingEvaluator(data, epochs=15, device=device),
        ("val_loss", "params"),
        device=device,
    )
    study = optuna.create_study(
        directions=objective.directions, sampler=optuna.samplers.RandomSampler(seed=seed)
    )
    study.optimize(objective, callbacks=[lambda *_: print("trained", flush=True)], n_trials=10_000)


def start(*words: object) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def measured(*words: object) -> dict[str, list]:
    process = start(*words)
    printed, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{words} ended with {process.returncode}")
    return json.loads(printed.splitlines()[-1])


def variation(rounds: list[dict], method: str) -> float:
    """Coefficient of variation over processes, the mean over networks."""
    values = np.array([r[method] for r in rounds])
    return float(np.mean(values.std(axis=0, ddof=1) / values.mean(axis=0)))


def coverage(rounds: list[dict]) -> float:
    """Share of intervals that hold the median over all processes."""
    middle = np.median([r["optnas"] for r in rounds], axis=0)
    held = [
        low <= m <= high
        for r in rounds
        for (low, high), m in zip(r["interval"], middle, strict=True)
    ]
    return float(np.mean(held))


def half_width(rounds: list[dict]) -> float:
    """Half the width of the intervals, as a share of the value; the median."""
    halves = [
        (high - low) / 2 / value
        for r in rounds
        for (low, high), value in zip(r["interval"], r["optnas"], strict=True)
    ]
    return float(np.median(halves))


def correlation(rounds: list[dict], method: str) -> tuple[float, float]:
    """Spearman's rank correlation between processes: mean and least."""
    found = [spearmanr(a[method], b[method])[0] for a, b in combinations(rounds, 2)]
    return float(np.mean(found)), float(np.min(found))


def summary(device: str, idle: list[dict], busy: list[dict]) -> dict:
    shift = {
        method: np.median([r[method] for r in busy], axis=0)
        / np.median([r[method] for r in idle], axis=0)
        for method in ("optnas", "mean")
    }
    found = {
        "device": device_name(resolve_device(device)),
        "torch": torch.__version__,
        "processes": len(idle),
        "networks": len(NETWORKS),
        "seconds_each": float(np.mean([r["seconds"] for r in idle])),
        "coverage": coverage(idle),
        "half_width": half_width(idle),
        "coverage_busy": coverage(busy),
        "alone_when_busy": float(np.mean([r["alone"] for r in busy])),
    }
    for method in ("optnas", "autorange", "mean"):
        found[method] = {
            "variation_idle": variation(idle, method),
            "rank_correlation": correlation(idle, method),
        }
        if method != "optnas":
            times = [np.median([r[m] for r in idle], axis=0) for m in ("optnas", method)]
            ratio = times[0] / times[1]
            found[method]["optnas_over_it"] = [float(f(ratio)) for f in (np.median, np.min, np.max)]
        if method != "autorange":
            found[method] |= {
                "variation_busy": variation(busy, method),
                "busy_over_idle": float(np.median(shift[method])),
                "busy_over_idle_range": [float(shift[method].min()), float(shift[method].max())],
            }
    return found


def show(found: dict) -> None:
    print(f"\n{found['processes']} processes, {found['networks']} networks, {found['device']}")
    print("                          optnas  autorange  mean of 100")
    rows = {
        "variation, idle": "variation_idle",
        "variation, busy": "variation_busy",
        "busy / idle": "busy_over_idle",
    }
    for label, key in rows.items():
        cells = [found[m].get(key) for m in ("optnas", "autorange", "mean")]
        print(f"{label:24}", *("       –" if c is None else f"{c:9.3f}" for c in cells))
    means = [found[m]["rank_correlation"][0] for m in ("optnas", "autorange", "mean")]
    print(f"{'rank correlation':24}", *(f"{c:9.4f}" for c in means))
    low, high = found["optnas"]["busy_over_idle_range"]
    print(f"busy / idle of single networks: {low:.3f} to {high:.3f}")
    for method in ("autorange", "mean"):
        print(f"optnas / {method} of single networks: ", end="")
        print("{:.3f} ({:.3f} to {:.3f})".format(*found[method]["optnas_over_it"]))
    print(f"95 % intervals that hold the median: {found['coverage']:.1%} (idle), ", end="")
    print(f"{found['coverage_busy']:.1%} (busy); half width {found['half_width']:.1%}")
    print(f"{found['seconds_each']:.2f} s for a measurement", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--no-autorange", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--train", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure is not None:
        found = measure_all(arguments.measure, arguments.device, not arguments.no_autorange)
        print(json.dumps({name: rounded(values) for name, values in found.items()}))
        return
    if arguments.train is not None:
        train_forever(arguments.train, arguments.device)
        return
    if arguments.rounds < 2:
        parser.error(f"--rounds must be at least 2, got {arguments.rounds}")
    idle: list[dict] = []
    busy: list[dict] = []
    there = ("--device", arguments.device)
    path = RESULTS / ("latency.json" if arguments.device == "cpu" else "latency_cuda.json")
    for i in range(arguments.rounds):
        idle.append(measured("--measure", 2 * i, *there))
        trainers = [start("--train", 2 * i + k, *there) for k in range(2)]
        try:
            for trainer in trainers:
                trainer.stdout.readline()
            busy.append(measured("--measure", 2 * i + 1, "--no-autorange", *there))
        finally:
            for trainer in trainers:
                trainer.kill()
                trainer.communicate()
        print(f"round {i + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
        if i:
            found = summary(arguments.device, idle, busy)
            lines = [json.dumps(found, indent=1)[:-2]]
            for name, rounds in (("idle", idle), ("busy", busy)):
                lines += [f' "{name}": [\n  ' + ",\n  ".join(map(json.dumps, rounds)) + "\n ]"]
            path.write_text(",\n".join(lines) + "\n}\n")
    show(found)


if __name__ == "__main__":
    main()
