"""Four workers on one study, of which one is killed about every second, many times over.

    python benchmarks/chaos.py [--runs 10] [--trials 150] [--seconds 0.5] [--storage sqlite …]

A worker is killed with -9 in the middle of whatever it does, and replaced. In the end the study
must have exactly the trials asked for, each whole; every other trial must be explained by its state
and attributes; none may be running; and SQLite must find its file whole. What is printed for a run:
kills, trials that were lost, repeated and surplus, and seconds.
"""

import argparse
import json
import random
import sqlite3
import tempfile
import time
from pathlib import Path

import optuna
from common import light_workers
from common.postgres import database, server
from common.processes import wait_for

RESULTS = Path(__file__).parent / "results" / "chaos.json"
WORKERS = 4


def storm(
    url: str,
    trials: int,
    seconds: float,
    seed: int,
    limit: float,
    pause: float = 1.0,
    between: int = 0,
) -> dict[str, float]:
    """One run; raises AssertionError if anything is wrong in the end.

    Args:
        url: The storage.
        trials: How many COMPLETE trials there are in the end.
        seconds: How long a trial takes.
        seed: Decides which worker is killed when.
        limit: Seconds after which the run hangs.
        pause: Seconds before a kill, in the mean.
        between: How many trials are made between two kills, so that a slow machine gets on, too.
    """
    rng = random.Random(seed)
    study = light_workers.make_study(url)
    job = light_workers.Job(url, trials=trials, seconds=seconds)
    begun = time.monotonic()
    workers = [light_workers.start(job) for _ in range(WORKERS)]
    kills = 0
    try:
        while any(worker.is_alive() for worker in workers):
            made = len(study.get_trials(deepcopy=False))
            wanted = made + between
            while made < wanted and any(worker.is_alive() for worker in workers):
                assert time.monotonic() < begun + limit, "it hangs"
                time.sleep(0.01)
                made = len(study.get_trials(deepcopy=False))
            assert time.monotonic() < begun + limit, "it hangs"
            time.sleep(pause * rng.uniform(0.7, 1.3))
            victim = rng.randrange(WORKERS)
            if workers[victim].is_alive():
                workers[victim].kill()
                workers[victim].join()
                kills += 1
                workers[victim] = light_workers.start(job)
        assert [worker.exitcode for worker in workers] == [0] * WORKERS
    finally:
        wait_for(workers)
    took = time.monotonic() - begun
    every = light_workers.checked(study, trials)
    light_workers.close(study)
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return {
        "kills": kills,
        "complete": sum(t.state == optuna.trial.TrialState.COMPLETE for t in every),
        "lost": sum("lost" in t.user_attrs for t in every),
        "retries": sum("retry_of" in t.user_attrs for t in every),
        "surplus": sum("surplus" in t.user_attrs for t in every),
        "failed": sum("failure" in t.user_attrs for t in every),
        "seconds": round(took, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=0.5)
    kinds = ["sqlite", "journal", "postgresql"]
    parser.add_argument("--storage", nargs="+", choices=kinds, default=kinds)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    results: dict[str, list[dict[str, float]]] = {kind: [] for kind in args.storage}
    with server() as found:
        for seed in range(args.runs):
            for kind in args.storage:
                with tempfile.TemporaryDirectory() as folder:
                    url = f"{kind}:///{folder}/study.db"
                    if kind == "postgresql":
                        assert found is not None, "no PostgreSQL is installed here"
                        url = database(found.url, f"run{seed}")
                    limit = 60 + 4 * args.trials * args.seconds / WORKERS
                    results[kind].append(storm(url, args.trials, args.seconds, seed, limit))
                print(f"{kind}, run {seed}: {results[kind][-1]}", flush=True)
    RESULTS.write_text(json.dumps({"trials": args.trials, "runs": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
