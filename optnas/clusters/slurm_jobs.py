"""The jobs of a run on SLURM: submitted, watched, told to finish, and cancelled."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from optnas.clusters.base import Ending, NodeJob, Workers
from optnas.clusters.slurm_node import END, FINISH, SlurmNode
from optnas.errors import InputError
from optnas.runs.logs import in_folder
from optnas.runs.starter import PATIENCE
from optnas.utils.text import plural

TIMEOUTS = 1000
"""How often a job may be requeued because its time was over."""
ASK_SECONDS = 10.0
"""Seconds between two calls of `squeue`, which asks for all jobs at once."""
END_POLL = 1.0
"""Seconds between two looks at jobs that have been cancelled."""
LATE = 30.0
"""Seconds that a job's result may take to be seen on a network file system after its end."""
SAYS = "sbatch: error: "
"""How `sbatch` begins a line about what it refuses."""
ENDED = (
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "TIMEOUT",
)
"""SLURM's states of a job that has ended, unless it is requeued."""


class SlurmJobs(Workers):
    """The jobs of a run.

    Args:
        cluster: submitit's name of the cluster: `slurm` or `local`.
        parameters: The settings of a job, as submitit takes them.
    """

    def __init__(self, cluster: str, parameters: dict[str, Any]) -> None:
        self._cluster = cluster
        self._parameters = parameters
        self._jobs: dict[str, tuple[NodeJob, Any]] = {}
        self._folder: Path | None = None
        self._states: dict[str, str] = {}
        self._asked = 0.0
        self._ended_at: dict[str, float] = {}
        self._trouble = False

    def start(self, jobs: Sequence[NodeJob], logs: str) -> str:
        """Submits a job array (see `Workers.start`)."""
        import submitit

        # A pattern in a path would be SLURM's.
        above = Path(logs).parent if "%" in logs else Path(logs)
        if self._folder is None:
            self._folder = above / f"slurm-{uuid.uuid4().hex[:8]}"
            # The storage's URL, with its password, is in there.
            in_folder(Path(logs), partial(self._folder.mkdir, mode=0o700))
        nodes = [SlurmNode(job, str(self._folder), logs) for job in jobs]
        try:
            executor = submitit.AutoExecutor(
                self._folder, cluster=self._cluster, slurm_max_num_timeout=TIMEOUTS
            )
            executor.update_parameters(**self._parameters)
            with _without_ctrl_c():
                made = executor.submit_array(nodes)
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            self.end()
            said = [s.removeprefix(SAYS) for s in str(error).splitlines() if s.startswith(SAYS)]
            reason = ". ".join(dict.fromkeys(said)) or str(error)
            raise InputError(
                f"SLURM takes no jobs of this run: {reason}; change the settings"
            ) from error
        self._jobs |= {job.job_id: (node, job) for node, job in zip(jobs, made, strict=True)}
        self._states |= {job.job_id: "PENDING" for job in made}
        self._asked = time.monotonic()
        workers = plural(len(made), "worker")
        if self._cluster == "local":
            return f"{workers} on this machine, by submitit"
        ids = sorted({job.job_id.partition("_")[0] for job in made})
        return f"SLURM job {', '.join(ids)} with {workers}"

    def ended(self) -> list[tuple[NodeJob, Ending]]:
        """Looks for results, and asks SLURM now and then (see `Workers.ended`)."""
        self._ask()
        found = []
        for name, (node, job) in [*self._jobs.items()]:
            ending = self._ending(name, job)
            if ending is not None:
                del self._jobs[name]
                self._trouble = self._trouble or bool(ending.why or ending.error)
                found.append((node, ending))
        return found

    def finish(self) -> None:
        """Tells running jobs by a file; cancels those that wait (see `Workers.finish`)."""
        if self._folder is not None:
            (self._folder / FINISH).touch()
        if self._cluster == "slurm":
            self._cancel("-t", "PENDING")

    def end(self) -> None:
        """Cancels all jobs (see `Workers.end`)."""
        if self._folder is None:
            return
        if self._jobs:
            for told in (FINISH, END):
                (self._folder / told).touch()
            self._cancel()
            deadline = time.monotonic() + 2 * PATIENCE
            while self._jobs and time.monotonic() < deadline:
                self._asked = 0.0
                self.ended()
                time.sleep(END_POLL)
            self._kill()
            self._jobs = {}
        for path in self._folder.glob("*.pkl"):  # the password is in there
            path.unlink(missing_ok=True)
        if not self._trouble:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def _ask(self) -> None:
        """Asks SLURM for the states of the jobs, from time to time."""
        if self._cluster == "local":
            self._states = {name: job.state for name, (_, job) in self._jobs.items()}
            return
        if time.monotonic() < self._asked + ASK_SECONDS:
            return
        self._asked = time.monotonic()
        command = ["squeue", "-h", "-r", "-t", "all", "-o", "%i %T", "-u", getpass.getuser()]
        with suppress(OSError, subprocess.SubprocessError):  # no answer: next time
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
            self._states = dict(line.split() for line in done.stdout.splitlines())

    def _ending(self, name: str, job: Any) -> Ending | None:
        """How a job ended; None while it hasn't."""
        if job.paths.result_pickle.exists():
            return _result(job)
        state = self._states.get(name, "gone from SLURM's queue")
        if self._cluster == "local":
            has_ended, late = state != "RUNNING", 0.0
        else:
            has_ended, late = state in ENDED or name not in self._states, LATE
        if not has_ended:
            self._ended_at.pop(name, None)  # it was requeued
            return None
        if state == "CANCELLED":
            late = 0.0  # it may never have begun
        now = time.monotonic()
        if now < self._ended_at.setdefault(name, now) + late:
            return None
        if job.paths.result_pickle.exists():  # written since the first look
            return _result(job)
        return Ending(
            why=f"its job {name} ended without a result ({state})",
            is_cancelled=state == "CANCELLED",
        )

    def _cancel(self, *options: str) -> None:
        """Sends SIGTERM to the jobs."""
        if self._cluster == "slurm":
            if self._jobs:
                subprocess.run(["scancel", *options, *self._jobs], capture_output=True, check=False)
            return
        for name, (_, job) in self._jobs.items():
            if job.state == "RUNNING":
                with suppress(ProcessLookupError):
                    os.kill(int(name), signal.SIGTERM)

    def _kill(self) -> None:
        """Ends processes of this machine that don't end otherwise."""
        if self._cluster == "local":
            for name in self._jobs:
                with suppress(psutil.NoSuchProcess):
                    process = psutil.Process(int(name))
                    for one in (*process.children(recursive=True), process):
                        with suppress(psutil.NoSuchProcess):
                            one.kill()


def _result(job: Any) -> Ending:
    from submitit.core.utils import UncompletedJobError

    try:
        ending: Ending = job.result()
    except UncompletedJobError as error:  # the traceback of what submitit called
        text = str(error)
        if "not requeued" in text:
            return Ending(why="it couldn't be requeued")
        return Ending(error=text)
    return ending


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Lets processes that are started in the block, and theirs, not be reached by Ctrl-C."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
