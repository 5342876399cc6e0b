"""Many workers on one SQLite study, against plain Optuna in as many processes, in one run.

    python benchmarks/workers.py [--workers 8] [--trials 2000] [--repeats 3] [--digits | --latency]

Trials per second of trials that cost nothing (six parameters, six attributes, random sampling),
from the first that begins to the last that ends; how many trials there are in the end; errors; and
how many of 300 queued trials were taken twice. Optuna runs `study.optimize` with its
`MaxTrialsCallback` on its default SQLite, without and with its heartbeat (optnas renews its leases
in both). Instead, `--digits` times the digits study with one worker and with two, and `--latency`
measures four networks next to two workers of that study, in turns with those stopped.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import optuna
import psutil
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState

from optnas.runs.loop import run_trials
from optnas.storage.open import open_storage

RESULTS = Path(__file__).parent / "results" / "workers.json"
KINDS = ("optnas", "optuna", "optuna, heartbeat")


def open_study(kind: str, url: str) -> optuna.Study:
    if kind == "optnas":
        storage = open_storage(url, create=True)
    else:
        heartbeat = 60 if "heartbeat" in kind else None
        storage = optuna.storages.RDBStorage(url, heartbeat_interval=heartbeat)
    return optuna.create_study(
        study_name="s",
        storage=storage,
        sampler=optuna.samplers.RandomSampler(),
        directions=["minimize", "minimize"],
        load_if_exists=True,
    )


def work(kind: str, url: str, trials: int) -> None:
    """One worker."""
    study = open_study(kind, url)
    with open(f"{url.removeprefix('sqlite:///')}.taken", "a", buffering=1) as taken:

        def objective(trial: optuna.Trial) -> tuple[float, float]:
            taken.write(f"{trial.number}\n")
            drawn = [trial.suggest_categorical(f"x{i}", [*"abcde"]) for i in range(6)]
            for i in range(6):
                trial.set_user_attr(f"measured{i}", i)
            return drawn.count("a"), drawn.count("b")

        if kind == "optnas":
            run_trials(study, objective, trials=trials)
        else:
            states = (TrialState.COMPLETE,)
            study.optimize(objective, callbacks=[MaxTrialsCallback(trials, states)])


def race(kind: str, workers: int, trials: int, queued: int = 0) -> dict[str, float]:
    """A study with a number of workers: trials per second, errors, what was done twice."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/study.db"
        study = open_study(kind, url)
        for i in range(queued):
            study.enqueue_trial({"x0": "abcde"[i % 5]})
        command = [sys.executable, __file__, "--work", kind, url, str(trials)]
        processes = [
            subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(workers)
        ]
        errors = [worker.communicate()[1] for worker in processes]
        every = study.get_trials(deepcopy=False)
        taken = Counter(Path(f"{folder}/study.db.taken").read_text().split())
        ended = [t for t in every if t.state == TrialState.COMPLETE]
        seconds = max(t.datetime_complete for t in ended) - min(t.datetime_start for t in ended)
        study._storage.remove_session()
        return {
            "trials_per_second": len(ended) / seconds.total_seconds(),
            "complete": len(ended),
            "running": sum(t.state == TrialState.RUNNING for t in every),
            "failed_workers": sum(worker.returncode != 0 for worker in processes),
            "locked": sum("database is locked" in error for error in errors),
            "taken_twice": sum(times > 1 for times in taken.values()),
        }


def digits(workers: int, threads: int | None) -> float:
    """Seconds of the digits study, from the command to its end."""
    with tempfile.TemporaryDirectory() as folder:
        run = start_digits(Path(folder), workers, threads)
        start = time.perf_counter()
        assert run.wait() == 0
        return time.perf_counter() - start


def start_digits(
    folder: Path, workers: int, threads: int | None = None, trials: int = 40
) -> subprocess.Popen[bytes]:
    """Starts the digits study."""
    study = (Path(__file__).parent.parent / "studies" / "digits_cnn.py").read_text()
    if threads is not None:
        study = study.replace("optnas.Search(", f"optnas.Search(threads={threads},")
    (folder / "digits_cnn.py").write_text(study)
    command = [sys.executable, "-m", "optnas", "run", "digits_cnn.py"]
    return subprocess.Popen(
        [*command, "--workers", str(workers), "--trials", str(trials)],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"},
    )


def beside_workers(rounds: int) -> dict[str, float]:
    """Latencies of four networks next to two workers of a study, over those with them stopped.

    In turns of half a second, because the machine's mood lasts longer than that.
    """
    import optnas
    from optnas.candidate import Candidate
    from optnas.devices import sharing

    data = optnas.digits()
    space = optnas.MacroCNNSpace(data.input_shape, data.outputs)
    sample = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    networks = [space.suggest(sample.ask()) for _ in range(4)]
    patience, limit = sharing.PATIENCE, sharing.LIMIT

    def measure(network: object) -> float:
        candidate = Candidate(network, space.example_inputs, lambda: space.build(network))
        return optnas.Latency(device="cpu").measure(candidate)

    ratios: list[list[float]] = [[] for _ in networks]
    with tempfile.TemporaryDirectory() as folder:
        run = start_digits(Path(folder), 2, trials=10_000)
        try:
            time.sleep(15)  # until both train
            for _ in range(rounds):
                for found, network in zip(ratios, networks, strict=True):
                    sharing.PATIENCE, sharing.LIMIT = patience, limit
                    shared = measure(network)
                    every = psutil.Process(run.pid).children(recursive=True)
                    workers = [process for process in every if not process.children()]
                    assert len(workers) == 2
                    for worker in workers:
                        worker.suspend()
                    sharing.PATIENCE = sharing.LIMIT = 0.0  # they can't make room now, and needn't
                    alone = measure(network)
                    for worker in workers:
                        worker.resume()
                    found.append(shared / alone)
        finally:
            run.terminate()
            run.wait()
    medians = [statistics.median(found) for found in ratios]
    every = [ratio for found in ratios for ratio in found]
    return {
        "measurements": len(every),
        "median": statistics.median(every),
        "least_network": min(medians),
        "most_network": max(medians),
        "within_5_percent": sum(abs(ratio - 1) <= 0.05 for ratio in every) / len(every),
    }


def compare_digits(repeats: int) -> dict[str, object]:
    """One worker with torch's own threads, one with one thread, and two with one each, in turn."""
    import torch

    settings = {
        "1 worker, torch's threads": (1, torch.get_num_threads()),
        "1 worker, 1 thread": (1, None),
        "2 workers, 1 thread each": (2, None),
    }
    seconds: dict[str, list[float]] = {name: [] for name in settings}
    for _ in range(repeats):
        for name, (workers, threads) in settings.items():
            seconds[name].append(digits(workers, threads))
            print(f"{name}: {seconds[name][-1]:.1f} s", flush=True)
    two, one = "2 workers, 1 thread each", "1 worker, torch's threads"
    return {
        "seconds": seconds,
        "ratio": statistics.median(seconds[two]) / statistics.median(seconds[one]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__)[0])
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--digits", action="store_true")
    parser.add_argument("--latency", action="store_true")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if args.work:
        work(args.work[0], args.work[1], int(args.work[2]))
        return
    results: dict[str, object] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if args.digits:
        results["digits"] = compare_digits(args.repeats)
        print(json.dumps(results["digits"], indent=1))
    elif args.latency:
        results["latency"] = beside_workers(10 * args.repeats)
        print(json.dumps(results["latency"], indent=1))
    else:
        races: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
        queues: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS[:2]}
        for _ in range(args.repeats):
            for kind in KINDS:  # in turn, so that the machine's mood is everybody's
                races[kind].append(race(kind, args.workers, args.trials))
                print(f"{kind}: {races[kind][-1]}", flush=True)
            for kind in queues:
                queues[kind].append(race(kind, args.workers, 300, queued=300))
                print(f"{kind}, 300 queued: {queues[kind][-1]}", flush=True)
        rates = {k: [r["trials_per_second"] for r in found] for k, found in races.items()}
        ratios = {
            kind: [a / b for a, b in zip(rates["optnas"], rates[kind], strict=True)]
            for kind in KINDS[1:]
        }
        for kind, found in ratios.items():
            print(f"optnas / {kind}: {statistics.median(found):.2f} ({min(found):.2f} at least)")
        results |= {
            "workers": args.workers,
            "trials": args.trials,
            "races": races,
            "queues": queues,
            "ratios": ratios,
        }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
