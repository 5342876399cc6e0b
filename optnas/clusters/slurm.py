"""Workers in a SLURM job array, which submitit submits.

The nodes share a file system with the machine that submits, as submitit needs it, too: the study
file, optnas and Python lie at the same paths. The run leaves what it tells its jobs in a folder
inside of the study's logs. With `cluster="local"`, submitit runs the same jobs as processes of this
machine.

Tried with SLURM 22.05 on one machine (one node, no accounting). Not tried: several nodes, GPUs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from shutil import which
from typing import Any, Literal

from optnas.clusters.base import Cluster, Need, Workers
from optnas.clusters.reach import check_reach
from optnas.clusters.slurm_jobs import SlurmJobs
from optnas.errors import InputError
from optnas.utils.text import there_are

SHORTEST = 5
"""Minutes that a job lasts at least: it is requeued 90 seconds before its end."""
MINUTES = {"m": 1, "h": 60, "d": 24 * 60}
"""The units of a time."""


@dataclass(frozen=True)
class SlurmCluster(Cluster):
    """Workers in jobs of SLURM (extra `slurm`).

    Attributes:
        partition: The partition; by default SLURM's own.
        time: How long a job may last, such as `90m`, `4h` or `2d`. A worker whose time is over
            queues its trial again, and SLURM its job, so a study may last longer.
        gpus: GPUs of each worker.
        cpus: CPUs of each worker; by default the search's threads.
        mem: Memory of each worker, such as `16GB`.
        account: The account that pays.
        qos: The quality of service.
        constraint: Features that a node must have.
        reservation: The reservation to use.
        exclude: Nodes to avoid.
        nodelist: Nodes to use.
        cluster: `slurm`, or `local` for processes of this machine.
        detach: Whether the run ends once its jobs are submitted.

    Raises:
        InputError: A value is wrong.

    Example:
        ```python
        import optnas

        optnas.SlurmCluster(partition="gpu", time="4h", gpus=1)  # Search.run(on=…, workers=32)
        ```
    """

    partition: str = ""
    time: str = "4h"
    gpus: int = 0
    cpus: int = 0
    mem: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    reservation: str = ""
    exclude: str = ""
    nodelist: str = ""
    cluster: Literal["slurm", "local"] = "slurm"
    detach: bool = False

    def __post_init__(self) -> None:
        if self.cluster not in ("slurm", "local"):
            raise InputError(f"cluster must be slurm or local, got {self.cluster!r}")
        for name in ("gpus", "cpus"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise InputError(f"{name} must be a whole number of at least 0, got {value!r}")
        _ = self._minutes, self._gigabytes

    @classmethod
    def of_text(cls, text: str, *, detach: bool = False) -> SlurmCluster:
        """The settings that a text such as `partition=gpu,time=4h,gpus=1` gives.

        Args:
            text: The text; a comma in a value (`exclude=node1,node2`) is fine.
            detach: See `SlurmCluster`.

        Raises:
            InputError: It is of another form, a key is unknown or comes twice, or a value is wrong.
        """
        known = {f.name: f.type for f in fields(cls) if f.name != "detach"}
        given: dict[str, Any] = {}
        for part in re.split(r",(?=[^,=]*=)", text) if text else ():
            key, is_pair, value = (word.strip() for word in part.partition("="))
            if not is_pair or not value:
                raise InputError(
                    f"`slurm={text}` must be KEY=VALUE, with commas between, such as "
                    "partition=gpu,time=4h,gpus=1"
                )
            if key not in known:
                raise InputError(f"`slurm={text}` has no key {key!r}; {there_are(key, known)}")
            if key in given:
                raise InputError(f"`slurm={text}` gives {key} twice")
            given[key] = int(value) if known[key] == "int" and value.isdecimal() else value
        return cls(**given, detach=detach)

    @contextmanager
    def connect(self, need: Need) -> Iterator[Workers]:
        """Looks for SLURM's commands (see `Cluster.connect`)."""
        try:
            import submitit  # noqa: F401
        except ImportError as error:
            raise InputError(
                f"workers on SLURM need the extra slurm: pip install 'optnas[slurm]' ({error})"
            ) from error
        if self.cluster == "slurm":
            check_reach(need.url, "the nodes of SLURM are other machines")
            missing = [name for name in ("sbatch", "srun", "squeue") if which(name) is None]
            if missing:
                raise InputError(
                    f"SLURM's {', '.join(missing)} can't be found: run this on a machine that "
                    "submits jobs, or try it here with the setting cluster=local"
                )
        yield SlurmJobs(self.cluster, self._parameters(need))

    def _parameters(self, need: Need) -> dict[str, Any]:
        """The settings as submitit takes them."""
        found: dict[str, Any] = {
            "name": "optnas",
            "timeout_min": self._minutes,
            "cpus_per_task": self.cpus or need.threads,
            "gpus_per_node": self.gpus or None,
            "mem_gb": self._gigabytes,
            "slurm_array_parallelism": need.workers,  # all at once
        }
        names = ("partition", "account", "qos", "constraint", "exclude", "nodelist")
        found |= {f"slurm_{name}": getattr(self, name) or None for name in names}
        more = {"requeue": True} | ({"reservation": self.reservation} if self.reservation else {})
        return found | {"slurm_additional_parameters": more}

    @property
    def _minutes(self) -> int:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([mhd])", self.time)
        minutes = round(float(found[1]) * MINUTES[found[2]]) if found else 0
        if minutes < SHORTEST:
            raise InputError(
                f"time must be 90m, 4h or 2d, say, and at least {SHORTEST}m, got {self.time!r}"
            )
        return minutes

    @property
    def _gigabytes(self) -> float | None:
        if not self.mem:
            return None
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([MG])B?", self.mem, re.IGNORECASE)
        if not found or not float(found[1]):
            raise InputError(f"mem must be 16GB or 800MB, say, got {self.mem!r}")
        return float(found[1]) / (1024 if found[2] in "mM" else 1)
