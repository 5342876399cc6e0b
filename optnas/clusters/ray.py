"""Workers on a Ray cluster: an actor holds each, so Ray places them and gives them their GPUs.

An actor ends with its node, and with the program that started it. The run starts another one in its
place, on any node that has room. Ray shares one GPU between actors that ask for a fraction of it;
each sees it through `CUDA_VISIBLE_DEVICES`, and they share the lock of the card, by its UUID, as
workers of one machine do (`optnas.devices.sharing`).

Not tried: a GPU, and nodes on several machines. Tests run several nodes on one machine.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optnas.clusters.base import Cluster, Ending, Need, NodeJob, Workers
from optnas.clusters.ray_node import RayNode
from optnas.clusters.reach import check_reach
from optnas.errors import InputError
from optnas.runs.starter import PATIENCE
from optnas.utils.text import plural

OBJECT_STORE = 100 * 2**20
"""Bytes of the object store of a Ray that a run starts itself: workers share nothing by it."""
ANSWER_SECONDS = 10.0
"""Seconds that a Ray cluster may take for its first answer."""
CHUNK = 2**20
"""Bytes of a log that are fetched at once."""
LAST_SECONDS = 2.0
"""Seconds that the last lines of a log may take to come."""
NO_START = ("failed to import", "error raised in its creation task")
"""Parts of Ray's messages about an actor that couldn't be made."""
LEFT_OUT = [
    ".git",
    "__pycache__",
    "*.db",
    "*.db-shm",
    "*.db-wal",
    "*.journal",
    "*_logs",
    "*_weights",
    "*_checkpoints",
]
"""What of a folder isn't copied to the nodes."""


@dataclass(frozen=True)
class RayCluster(Cluster):
    """Workers on a Ray cluster (extra `ray`).

    Attributes:
        address: The cluster: `host:6379`, `auto` for the one that runs on this machine, or
            `ray://host:10001`. By default the one that `RAY_ADDRESS` names, as inside of a
            `ray job submit`; else a Ray on this machine alone, which ends with the run.
        gpus_per_worker: GPUs of each worker; below 1, workers share one. By default all GPUs of the
            cluster are shared evenly, one each at most, unless the study's device is the CPU.
        working_dir: A folder with the study file, which Ray copies to every node. Without it, the
            nodes need the study file at the same path, as on a network file system. With it,
            weights and checkpoints stay on the nodes.

    Raises:
        InputError: A value is out of range.

    Example:
        ```python
        import optnas

        optnas.RayCluster(address="auto", gpus_per_worker=0.5)  # Search.run(on=…, workers=64)
        ```
    """

    address: str = ""
    gpus_per_worker: float | None = None
    working_dir: str | Path = ""

    def __post_init__(self) -> None:
        gpus = self.gpus_per_worker
        if gpus is not None and not (0 <= gpus <= 1 or (gpus > 1 and gpus == int(gpus))):
            raise InputError(
                f"`gpus_per_worker={gpus:g}` must be a share of one GPU (0.5) or a whole number"
            )
        if self.working_dir and not Path(self.working_dir).is_dir():
            raise InputError(f"there is no folder {self.working_dir}: give another working_dir")

    @contextmanager
    def connect(self, need: Need) -> Iterator[Workers]:
        """Connects to the cluster, or starts Ray on this machine (see `Cluster.connect`)."""
        try:
            import ray
        except ImportError as error:
            raise InputError(
                f"workers on Ray need the extra ray: pip install 'optnas[ray]' ({error})"
            ) from error
        own = not ray.is_initialized()
        if own:
            self._connect(ray, need)
        elif self.working_dir:
            raise InputError(
                "this program is connected to Ray already: give the working_dir to ray.init"
            )
        try:
            yield self._workers(ray, need)
        finally:
            if own:
                ray.shutdown()

    def _connect(self, ray: Any, need: Need) -> None:
        address = self.address or os.environ.get("RAY_ADDRESS", "") or "local"
        settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING}
        if self.working_dir:
            self._relative(need.file)
            settings["runtime_env"] = {"working_dir": str(self._folder), "excludes": LEFT_OUT}
        if address == "local":
            ray.init(
                "local",
                num_cpus=need.workers * need.threads,  # as without Ray, all of them run at once
                object_store_memory=OBJECT_STORE,
                include_dashboard=False,
                **settings,
            )
            return
        wrong = (
            f"no Ray cluster answers at {address}: give another address, such as the one that "
            "`ray start` has printed on the head node"
        )
        if address != "auto" and not _answers(address):
            raise InputError(wrong)
        try:
            ray.init(address, **settings)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise InputError(f"{wrong}; Ray says: {str(error).splitlines()[0]}") from error

    @property
    def _folder(self) -> Path:
        return Path(self.working_dir).absolute()

    def _relative(self, file: str) -> str:
        """The path of the study file in the folder that is copied."""
        if not Path(file).is_relative_to(self._folder):
            raise InputError(
                f"the study file {file} isn't in the working_dir {self._folder}: give a folder "
                "above it"
            )
        return str(Path(file).relative_to(self._folder))

    def _workers(self, ray: Any, need: Need) -> Workers:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        here = ray.util.get_node_ip_address()
        elsewhere = {n["NodeManagerAddress"] for n in nodes} - {here, "127.0.0.1"}
        if elsewhere or self.address.startswith("ray://"):
            check_reach(need.url, f"nodes of the Ray cluster are other machines ({len(nodes)})")
        cpus = [node["Resources"].get("CPU", 0.0) for node in nodes]
        gpus = [node["Resources"].get("GPU", 0.0) for node in nodes]
        share = self._share(need, sum(gpus))
        if share > max(gpus, default=0.0):
            raise InputError(
                f"`gpus_per_worker={share:g}`: no node of the Ray cluster has that many GPUs "
                f"({', '.join(f'{found:g}' for found in gpus)}): give a smaller `gpus_per_worker=`"
            )
        room = sum(
            int(min(c // need.threads, g / share + 1e-9 if share else c))
            for c, g in zip(cpus, gpus, strict=True)
        )
        file = self._relative(need.file) if self.working_dir else ""
        workers = _RayWorkers(ray, need.threads, share, file)
        if room < need.workers:
            workers.remark = (
                f"the Ray cluster has room for {room} of {need.workers} workers: the others begin "
                "when it has more"
            )
        return workers

    def _share(self, need: Need, gpus: float) -> float:
        """GPUs of each worker."""
        if self.gpus_per_worker is not None:
            return self.gpus_per_worker
        if need.device == "cpu" or not gpus:
            return 0.0
        # Ray counts in ten-thousandths.
        return 1.0 if gpus >= need.workers else int(gpus / need.workers * 10_000) / 10_000


def _answers(address: str) -> bool:
    """Whether anything listens at an address; Ray itself would try for a minute."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS):
            return True
    except (OSError, ValueError, OverflowError):
        return False


@dataclass
class _Actor:
    """An actor, and what is known of it."""

    job: NodeJob
    handle: Any
    running: Any
    """Of the call that runs the worker."""
    log: Path
    reading: Any
    """Of the call that reads what is new in the log; its first answer says that it has begun."""
    read: int = 0
    has_begun: bool = False


class _RayWorkers(Workers):
    """The actors of a run."""

    def __init__(self, ray: Any, threads: int, gpus: float, file: str) -> None:
        # Each method runs in a thread of its own: a worker is told to finish while it runs.
        self._class = ray.remote(RayNode).options(
            num_cpus=threads, num_gpus=gpus, max_concurrency=4, scheduling_strategy="SPREAD"
        )
        self._ray = ray
        self._file = file  # in the folder that Ray copies; empty if it copies none
        self._actors: list[_Actor] = []
        self._dropped: list[NodeJob] = []

    def start(self, jobs: Sequence[NodeJob], logs: str) -> str:
        """Makes an actor for each job (see `Workers.start`)."""
        Path(logs).mkdir(exist_ok=True)
        for job in jobs:
            here = replace(job.job, file=self._file, folder=None) if self._file else job.job
            handle = self._class.remote(replace(job, job=here))
            log = Path(logs) / f"ray-worker{job.index + 1}.log"
            running, reading = handle.run.remote(), handle.read.remote(0, CHUNK)
            self._actors.append(_Actor(job, handle, running, log, reading))
        return f"{plural(len(jobs), 'worker')} on Ray"

    def ended(self) -> list[tuple[NodeJob, Ending]]:
        """Looks for actors that have ended, and fetches their logs (see `Workers.ended`)."""
        found = [(job, Ending()) for job in self._dropped]
        self._dropped = []
        ready = self._ready([actor.running for actor in self._actors])
        for actor in [a for a in self._actors if a.running in ready]:
            found.append((actor.job, self._ending(actor)))
            self._fetch([actor], LAST_SECONDS)
            self._remove(actor)
        self._fetch(self._actors)
        return found

    def finish(self) -> None:
        """Tells actors that have begun; removes the others (see `Workers.finish`)."""
        for actor in [*self._actors]:
            if actor.has_begun:
                actor.handle.finish.remote()
            else:
                self._drop(actor)

    def end(self) -> None:
        """Ends all actors (see `Workers.end`)."""
        for actor in [*self._actors]:
            if actor.has_begun:
                actor.handle.end.remote()
            else:
                self._drop(actor)
        deadline = time.monotonic() + PATIENCE
        while self._actors and time.monotonic() < deadline:
            self.ended()
            time.sleep(0.05)
        for actor in [*self._actors]:
            self._remove(actor)

    def _ready(self, references: list[Any], seconds: float = 0.0) -> list[Any]:
        """Those of some calls that have answered, or failed, after some seconds at most."""
        if not references:
            return []
        ready: list[Any]
        ready, _ = self._ray.wait(references, num_returns=len(references), timeout=seconds)
        return ready

    def _ending(self, actor: _Actor) -> Ending:
        errors = self._ray.exceptions
        try:
            ending: Ending = self._ray.get(actor.running)
        except errors.RayTaskError as error:
            return Ending(error=str(error))
        except errors.RayError as error:
            text = " ".join(str(error).split())
            if any(words in text for words in NO_START):
                return Ending(
                    error="a node of the Ray cluster can't start a worker; it needs the same "
                    f"packages as this machine, optnas included: {text[:1000]}",
                    is_input=True,
                )
            return Ending(why=f"Ray lost it ({text.split('. ')[0].rstrip('.')[:300]})")
        return ending

    def _fetch(self, actors: Sequence[_Actor], seconds: float = 0.0) -> None:
        """Appends to the logs what has been printed on the nodes."""
        ready = self._ready([actor.reading for actor in actors], seconds)
        for actor in [a for a in actors if a.reading in ready]:
            with suppress(self._ray.exceptions.RayError, OSError):
                text = self._ray.get(actor.reading)
                actor.has_begun = True
                actor.read += len(text)
                actor.reading = actor.handle.read.remote(actor.read, CHUNK)
                if text:
                    with open(actor.log, "ab") as file:
                        file.write(text)

    def _drop(self, actor: _Actor) -> None:
        self._dropped.append(actor.job)
        self._remove(actor)

    def _remove(self, actor: _Actor) -> None:
        self._ray.kill(actor.handle)
        self._actors.remove(actor)
