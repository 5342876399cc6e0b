"""How many workers one storage serves: the share of them that is busy, and operations a trial.

    python benchmarks/scale.py [--workers 8,16,32,64,90] [--storages postgresql,grpc] [--again]

Each run is `optnas run --workers N` on a PostgreSQL server with its default settings that this
script starts, directly or through `optnas serve`. A trial is drawn and measured, and sleeps for
five seconds in place of a training. Counted is the time from the first moment that all workers run
until the first of them finds nothing left to do: the share of it in which workers sleep is the
share of busy workers.

A model is fitted to 8 to 32 workers and checked at those beyond: round trips times latency, and
the rest (`benchmarks/common/scale_model.py`). It says what 1,000 and 10,000 workers would need, and
what gives way first.

Each run is written to benchmarks/results/scale.json when it ends; a run that is there isn't
repeated without `--again`.
"""

import argparse
import itertools
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
from common.postgres import database, server
from common.scale_model import Model

RESULTS = Path(__file__).parent / "results" / "scale.json"
STUDY = Path(__file__).parent / "common" / "sleeping_study.py"
STORAGES = ("postgresql", "grpc")
FITTED = 32
"""The model is fitted to runs of up to this number of workers."""
COUNTED = ("calls", "round_trips", "statements", "reads", "writes", "storage_seconds")
LOOK = 0.25
"""Seconds between two looks at the processor times of all processes."""


class Watch(threading.Thread):
    """Looks at the processor times of groups of processes, each a process with its children."""

    def __init__(self, groups):
        super().__init__(daemon=True)
        self.groups = {name: psutil.Process(pid) for name, pid in groups.items()}
        self.looks = []
        self.ended = threading.Event()

    def run(self):
        seen = {}
        while not self.ended.wait(LOOK):
            for name, top in self.groups.items():
                try:
                    every = [top, *top.children(recursive=True)]
                except psutil.NoSuchProcess:
                    continue
                for process in every:
                    try:
                        times = process.cpu_times()
                    except psutil.NoSuchProcess:
                        continue
                    own = name if process != top or name != "workers" else "parent"
                    seen[own, process.pid] = times.user + times.system
            total = Counter()
            for (name, _), seconds in seen.items():
                total[name] += seconds
            self.looks.append((time.time(), total))

    def between(self, began, ended):
        """Processor seconds of each group between two times."""
        first = min(self.looks, key=lambda look: abs(look[0] - began))[1]
        last = min(self.looks, key=lambda look: abs(look[0] - ended))[1]
        return {name: last[name] - first[name] for name in last}


def race(kind, postgres, workers, seconds, rounds):
    """One run: what its workers did while all of them ran."""
    url = database(postgres.url, f"{kind}{workers}_{os.getpid()}_{int(time.time())}")
    proxy = None
    with tempfile.TemporaryDirectory(prefix="optnas-scale-") as folder:
        logs = Path(folder) / "counts"
        logs.mkdir()
        environment = os.environ | {"SCALE_LOGS": str(logs), "SCALE_SECONDS": str(seconds)}
        groups = {"server": _postmaster(url)}
        if kind == "grpc":
            proxy = subprocess.Popen(
                [sys.executable, "-m", "optnas", "serve", url, "--port", "0"],
                stdout=subprocess.PIPE,
                text=True,
            )
            url = proxy.stdout.readline().split()[0]
            groups["proxy"] = proxy.pid
        command = [sys.executable, "-m", "optnas", "run", str(STUDY), "--storage", url]
        command += ["--workers", str(workers), "--trials", str(workers * rounds)]
        began = time.time()
        with open(Path(folder) / "output", "w") as output:
            run = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=output, stderr=output
            )
        watch = Watch(groups | {"workers": run.pid})
        watch.start()
        try:
            if code := run.wait():
                said = (Path(folder) / "output").read_text()
                raise SystemExit(f"{workers} workers, {kind}: exit code {code}\n{said}")
        finally:
            run.terminate()  # which lets it end its workers, if it hasn't ended
            run.wait()
            watch.ended.set()
            watch.join()
            if proxy is not None:
                proxy.terminate()
                proxy.wait()
                proxy.stdout.close()
        rows = [
            [json.loads(line) for line in path.read_text().splitlines()]
            for path in logs.glob("*.jsonl")
        ]
    found = summary(rows, watch, seconds)
    return {
        "storage": kind,
        "workers": workers,
        "seconds": seconds,
        "until_all_run": round(found.pop("from") - began, 1),
    } | found


def _postmaster(url):
    import psycopg

    with psycopg.connect(url) as connection:
        (backend,) = connection.execute("SELECT pg_backend_pid()").fetchone()
        return psutil.Process(backend).parent().pid


def summary(rows, watch, seconds):
    """What happened while all workers ran; `rows` are the trials of each worker."""
    began = max(trials[0]["began"] for trials in rows)
    ended = min(trials[-1]["ended"] for trials in rows)
    asleep = sum(
        max(min(trial["ended"], ended) - max(trial["began"], began), 0)
        for trials in rows
        for trial in trials
    )
    pairs = [  # from the beginning of one sleep to that of the next: a whole trial
        (before, after)
        for trials in rows
        for before, after in itertools.pairwise(trials)
        if before["began"] >= began - seconds and after["began"] <= ended
    ]
    if not pairs:
        raise SystemExit("no worker ran two trials while all of them ran: give more --rounds")
    made = "call create_new_trial"
    found = {
        name: statistics.fmean(after.get(name, 0) - before.get(name, 0) for before, after in pairs)
        for name in COUNTED
    }
    overhead = statistics.fmean(b["began"] - a["began"] - seconds for a, b in pairs)
    cpu = watch.between(began, ended)
    trials = len(rows) * (ended - began) / (seconds + overhead)
    return {
        "from": began,
        "lasted": round(ended - began, 1),
        "trials": len(pairs),
        "busy": asleep / len(rows) / (ended - began),
        "overhead_seconds": overhead,
        "rest_seconds": max(overhead - found["storage_seconds"], 0.0),
        "creation_seconds": min(  # without a wait for another worker's
            b["create_seconds"] - a["create_seconds"] for a, b in pairs if b[made] > a[made]
        ),
        "cpu": {
            name: cpu.get(name, 0.0) / trials for name in ("workers", "parent", "server", "proxy")
        },
    } | found


def model_of(rows):
    """The model of one storage: its lines, its check, and where many workers stand."""
    fitted = [row for row in rows if row["workers"] <= FITTED]
    model = Model.of(fitted)
    return {
        "fitted_to": [row["workers"] for row in fitted],
        "latency_ms": [1000 * model.latency.at_0, 1000 * model.latency.slope],
        "round_trips": list(model.round_trips),
        "rest_seconds": list(model.rest),
        "busy": {
            row["workers"]: {"measured": row["busy"], "model": model.busy(row["workers"])}
            for row in rows
        },
        "needs": {workers: model.needs(workers) for workers in (100, 1_000, 10_000)},
        "gives_way_at": model.first_to_give_way(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__)[0])
    parser.add_argument("--workers", default="8,16,32,64,90")
    parser.add_argument("--storages", default=",".join(STORAGES))
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=7, help="trials a worker")
    parser.add_argument("--again", action="store_true", help="repeat runs that are there")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended
    results = json.loads(args.results.read_text()) if args.results.exists() else {"runs": []}
    with server() as postgres:
        if postgres is None:
            raise SystemExit("no PostgreSQL is installed here")
        for workers in map(int, args.workers.split(",")):
            for kind in args.storages.split(","):
                same = [
                    r for r in results["runs"] if (r["storage"], r["workers"]) == (kind, workers)
                ]
                if same and not args.again:
                    continue
                row = race(kind, postgres, workers, args.seconds, args.rounds)
                others = [r for r in results["runs"] if r not in same]
                results["runs"] = sorted([*others, row], key=lambda r: (r["storage"], r["workers"]))
                print(
                    f"{kind}, {workers} workers: {row['busy']:.3f} busy, "
                    f"{row['statements']:.0f} statements and {row['round_trips']:.0f} round trips "
                    f"a trial, all run after {row['until_all_run']} s",
                    flush=True,
                )
                args.results.write_text(json.dumps(results, indent=1) + "\n")
    results["models"] = {}
    for kind in STORAGES:
        rows = [row for row in results["runs"] if row["storage"] == kind]
        if any(row["workers"] <= FITTED for row in rows):
            results["models"][kind] = model_of(rows)
            print(kind, json.dumps(results["models"][kind], indent=1))
    args.results.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
