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

import crew
import optuna
from postgres import database, server

RESULTS = Path(__file__).parent / "results" / "chaos.json"
WORKERS = 4


def storm(url: str, trials: int, seconds: float, seed: int, limit: float) -> dict[str, float]:
    """One run; raises AssertionError if anything is wrong in the end."""
    rng = random.Random(seed)
    study = crew.make_study(url)
    job = crew.Job(url, trials=trials, seconds=seconds)
    begun = time.monotonic()
    workers = [crew.start(job) for _ in range(WORKERS)]
    kills = 0
    try:
        while any(worker.poll() is None for worker in workers):
            assert time.monotonic() < begun + limit, "it hangs"
            time.sleep(rng.uniform(0.7, 1.3))
            victim = rng.randrange(WORKERS)
            if workers[victim].poll() is None:
                workers[victim].kill()
                workers[victim].wait()
                kills += 1
                workers[victim] = crew.start(job)
        assert [worker.returncode for worker in workers] == [0] * WORKERS
    finally:
        crew.wait_for(workers)
    took = time.monotonic() - begun
    every = crew.checked(study, trials)
    crew.close(study)
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
