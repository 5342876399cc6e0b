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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optnas.clusters.base import Cluster, Need, Workers
from optnas.clusters.ray_actors import RayActors
from optnas.clusters.reach import check_reach
from optnas.errors import InputError

OBJECT_STORE = 100 * 2**20
"""Bytes of the object store of a Ray that a run starts itself: workers share nothing by it."""
ANSWER_SECONDS = 10.0
"""Seconds that a Ray cluster may take for its first answer."""
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
        workers = RayActors(ray, need.threads, share, file)
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
