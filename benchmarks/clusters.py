"""Eight workers on a cluster, of which some are killed in the middle: what is left in the end?

    python benchmarks/clusters.py [--on ray local slurm] [--runs 3] [--workers 8] [--trials 200]

- `ray`: a Ray cluster of four nodes with two CPUs each, all on this machine. A node is killed.
- `local`: submitit's local executor. A worker is killed (kill -9), and later a job with its worker.
- `slurm`: the same with SLURM's commands, where a controller is running.

Each trial sleeps for half a second. In the end the study must have exactly the trials asked for and
none running. What is printed: trials that were lost, seconds from the kill until the last of
them was queued again, and seconds of the run.
"""

import argparse
import dataclasses
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import psutil
from common.postgres import database, server
from optuna.study import Study
from optuna.trial import TrialState

import optnas
from optnas.clusters import Cluster
from optnas.runs.progress import number_counted
from optnas.storage.open import close_storage
from optnas.study.leases import lease_of

RESULTS = Path(__file__).parent / "results" / "clusters.json"
NODES = 4
STORE = 100 * 2**20
STUDY = """
import time
import torch
import optnas

def build(trial):
    return torch.nn.Linear(2, trial.suggest_int("width", 1, 10_000))

def fit(model, recipe, report):
    time.sleep(0.5)
    return {"loss": 1 / model.out_features}

search = optnas.Search(
    space=optnas.FunctionSpace(build, torch.zeros(1, 2)),
    evaluator=optnas.FunctionEvaluator(fit, {"loss": "minimize"}),
    objectives=("loss", "params"), sampler="random", seed=0, device="cpu", weights=False,
)
"""
Kill = Callable[[Study], None]


@contextmanager
def ray_cluster(workers: int) -> Iterator[tuple[Cluster, list[Kill]]]:
    """A Ray of several nodes on this machine, and how one of them is killed."""
    import ray
    from ray.cluster_utils import Cluster as Nodes

    settings = {"num_cpus": -(-workers // NODES), "object_store_memory": STORE}
    nodes = Nodes(initialize_head=True, head_node_args=settings | {"include_dashboard": False})
    try:
        others = [nodes.add_node(**settings) for _ in range(NODES - 1)]
        ray.init(nodes.address, log_to_driver=False)
        kill: Kill = lambda _: nodes.remove_node(others[0], allow_graceful=False)  # noqa: E731
        yield optnas.RayCluster(nodes.address, gpus_per_worker=0), [kill]
    finally:
        ray.shutdown()
        nodes.shutdown()


@contextmanager
def jobs(cluster: str) -> Iterator[tuple[Cluster, list[Kill]]]:
    """Jobs of submitit, and how one and its worker are killed."""

    def kill_worker(study: Study) -> None:
        os.kill(some_worker(study).pid, signal.SIGKILL)

    def kill_job(study: Study) -> None:
        worker = some_worker(study)
        job = worker.parent()
        assert job is not None
        os.kill(job.pid, signal.SIGKILL)
        os.kill(worker.pid, signal.SIGKILL)

    yield optnas.SlurmCluster(cluster=cluster), [kill_worker, kill_job]


def some_worker(study: Study) -> psutil.Process:
    """The process of a running trial."""
    while True:
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        held = [lease for t in running if (lease := lease_of(t)) is not None]
        for lease in held:
            if psutil.pid_exists(lease["pid"]):
                return psutil.Process(lease["pid"])
        time.sleep(0.05)


def run(
    cluster: Cluster, kills: list[Kill], url: str, folder: Path, workers: int, trials: int
) -> dict[str, float]:
    """One run; raises AssertionError if anything is wrong in the end."""
    (folder / "killed.py").write_text(STUDY)
    search = dataclasses.replace(
        optnas.load_search(folder / "killed.py"), storage=url, trials=trials, root=folder
    )
    study = search.open()
    times: list[float] = []

    def kill_some() -> None:
        for index, kill in enumerate(kills):
            while number_counted(study) < trials * (index + 1) // (len(kills) + 2):
                time.sleep(0.1)
            times.append(time.time())
            kill(study)

    killer = threading.Thread(target=kill_some, daemon=True)
    killer.start()
    begun = time.monotonic()
    search.run(workers=workers, on=cluster)
    took = time.monotonic() - begun
    killer.join()
    every = study.get_trials(deepcopy=False)
    complete = [t for t in every if t.state == TrialState.COMPLETE]
    assert len(complete) == trials, len(complete)
    assert not [t for t in every if t.state == TrialState.RUNNING]
    lost = [t for t in every if "lost" in t.user_attrs]
    retries = [t.user_attrs["retry_of"] for t in complete if "retry_of" in t.user_attrs]
    assert len(retries) == len(set(retries)), "a lost trial was repeated twice"
    ends = [t.datetime_complete.timestamp() for t in lost if t.datetime_complete]
    waited = [end - max(time for time in times if time <= end) for end in ends]
    close_storage(study._storage)
    return {
        "complete": len(complete),
        "running": 0,
        "lost": len(lost),
        "repeated": len(retries),
        "seconds_until_queued_again": round(max(waited, default=0.0), 1),
        "seconds": round(took, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--on", nargs="+", choices=["ray", "local", "slurm"], default=["ray", "local"]
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--trials", type=int, default=200)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with server() as found:
        for on in args.on:
            results[on] = []
            for seed in range(args.runs):
                made = ray_cluster(args.workers) if on == "ray" else jobs(on)
                with tempfile.TemporaryDirectory() as folder, made as (cluster, kills):
                    url = f"journal:///{folder}/study.journal"
                    if found is not None and on != "slurm":
                        url = database(found.url, f"{on}{seed}")
                    result = run(cluster, kills, url, Path(folder), args.workers, args.trials)
                results[on].append({"storage": url.partition(":")[0]} | result)
                print(f"{on}, run {seed}: {results[on][-1]}", flush=True)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
