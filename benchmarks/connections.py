"""Connections to PostgreSQL: many workers on one server with its default of 100.

    python benchmarks/connections.py [--workers 64,90] [--seconds 5]

Each worker runs trials of a few seconds that compute nothing, as light processes without torch, all
begun at once. Prints how many failed, how many connections the server counted at most and at the
median (one of them the counter's own, one the study's that waits here), and what became of the
trials; writes benchmarks/results/connections.json.
"""

import argparse
import json
import logging
import re
import statistics
import time
from pathlib import Path

import optuna
import psycopg
from common import light_workers
from common.light_workers import Job
from common.postgres import database, server
from optuna.trial import TrialState

RESULTS = Path(__file__).parent / "results" / "connections.json"
COUNT = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"


def race(url: str, workers: int, seconds: float) -> dict[str, float]:
    """Two trials a worker: failures, connections, trials."""
    study = light_workers.make_study(url)
    began = time.monotonic()
    with psycopg.connect(url, autocommit=True) as watcher:
        running = [
            light_workers.start(Job(url, 2 * workers, seconds=seconds)) for _ in range(workers)
        ]
        counts = []
        while any(worker.is_alive() for worker in running):
            found = watcher.execute(COUNT).fetchone()
            counts.append(found[0] if found else 0)
            time.sleep(0.05)
    every = study.get_trials(deepcopy=False)
    light_workers.close(study)
    return {
        "workers": workers,
        "failed_workers": sum(worker.exitcode != 0 for worker in running),
        "most_connections": max(counts),
        "median_connections": statistics.median(counts),
        "complete": sum(t.state == TrialState.COMPLETE for t in every),
        "lost": sum("lost" in t.user_attrs for t in every),
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__)[0])
    parser.add_argument("--workers", default="64,90")
    parser.add_argument("--seconds", type=float, default=5.0)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.basicConfig()
    results = []
    with server() as postgres:
        if postgres is None:
            raise SystemExit("no PostgreSQL is installed here")
        for workers in map(int, args.workers.split(",")):
            results.append(race(database(postgres.url, f"w{workers}"), workers, args.seconds))
            print(results[-1], flush=True)
    found = {"seconds_a_trial": args.seconds, "races": results}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
