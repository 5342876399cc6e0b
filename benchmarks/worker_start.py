"""What the start of worker processes costs: forked from one server, and as new interpreters.

    python benchmarks/worker_start.py [--workers 2 8 32] [--repeats 3]

A worker is started when it has imported all that it imports before its study file. Each way starts
its workers at once, in turn. What is printed: seconds until the last one has started, processor
seconds and memory of all their processes, the server included. A page that processes share counts
once (PSS), which Linux alone knows.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from optnas.runs.starter import Anew, ForkServer, Starter
from optnas.runs.worker_process import MODULES

RESULTS = Path(__file__).parent / "results" / "worker_start.json"
CODE = f"import {', '.join(MODULES)}, gc, sys; gc.collect(); print(flush=True); sys.stdin.read()"


def begin(starter: Starter, workers: int, folder: Path) -> dict[str, float]:
    """Starts workers, and ends them."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    began = time.perf_counter()
    processes = [
        starter.start(f"worker {i}", folder / f"{i}.log", environment, None) for i in range(workers)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "\n"
    seconds = time.perf_counter() - began
    every = psutil.Process().children(recursive=True)
    found = {
        "seconds": seconds,
        "cpu_seconds": sum(sum(process.cpu_times()[:2]) for process in every),
        "memory_mb": sum(process.memory_full_info().pss for process in every) / 1e6,
    }
    for process in processes:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        assert process.wait() == 0
    starter.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 8, 32])
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    results: dict[str, dict[str, list[dict[str, float]]]] = {}
    for workers in args.workers:
        found = results[str(workers)] = {"forked": [], "new": []}
        for _ in range(args.repeats):
            for way, rows in found.items():
                with tempfile.TemporaryDirectory() as name:
                    folder = Path(name)
                    log = folder / "server.log"
                    starter = ForkServer(CODE, MODULES, log) if way == "forked" else Anew(CODE)
                    rows.append(begin(starter, workers, folder))
        for way, rows in found.items():
            medians = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
            print(f"{workers} workers, {way}: {medians}", flush=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
