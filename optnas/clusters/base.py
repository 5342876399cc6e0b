"""What a cluster does for a run: it starts workers, says how they ended, and ends them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version

from optnas.runs.worker_process import Job


@dataclass(frozen=True)
class NodeJob:
    """What a node of a cluster is told to do: run one worker.

    Attributes:
        job: What the worker itself is told.
        index: Which of the run's workers it is, from 0.
        threads: Its CPU threads.
        deadline: When the run's time is over, in seconds since 1970; None sets no limit. It is no
            number of hours, because a job may wait for hours before it begins.
        trial_timeout: Seconds after which a trial fails.
        version: The version of optnas.
    """

    job: Job
    index: int
    threads: int = 1
    deadline: float | None = None
    trial_timeout: float | None = None
    version: str = version("optnas")

    def log_name(self, where: str) -> str:
        """The name of the worker's log, which no other run's worker has.

        Args:
            where: What runs it: a node, say.
        """
        return f"{where}-{self.job.worker[:8]}-worker{self.index + 1}.log"


@dataclass(frozen=True)
class Ending:
    """How a worker on a node ended.

    Attributes:
        why: What ended it; empty if it found nothing left to do, or did what it was told.
        error: What ends the whole run: bad input, or a traceback of the study's code.
        is_input: Whether the error is one of input.
        is_cancelled: Whether a person cancelled it, so that no other one takes its place.
    """

    why: str = ""
    error: str = ""
    is_input: bool = False
    is_cancelled: bool = False


@dataclass(frozen=True)
class Need:
    """What a run asks of a cluster before it opens its study.

    Attributes:
        url: The storage.
        file: The study file, as an absolute path.
        workers: The number of workers.
        threads: CPU threads of each.
        device: Where they train and measure: `auto`, `cpu`, `cuda`, …
    """

    url: str
    file: str
    workers: int
    threads: int = 1
    device: str = "auto"


class Workers(ABC):
    """The workers that a cluster runs for one run. Each is known by its id, `Job.worker`."""

    remark: str = ""
    """What the user should know before they start."""

    @abstractmethod
    def start(self, jobs: Sequence[NodeJob], logs: str) -> str:
        """Starts a worker for each job, at once or when the cluster has room.

        Args:
            jobs: The jobs.
            logs: The study's folder of logs, where what they print is written.

        Returns:
            What was started, for the user: `SLURM job 123`, say.

        Raises:
            InputError: The cluster refuses them.
        """

    @abstractmethod
    def ended(self) -> list[tuple[NodeJob, Ending]]:
        """The workers that have ended since the last call; it doesn't wait for any."""

    @abstractmethod
    def finish(self) -> None:
        """Lets each worker finish its trial and end; one that hasn't begun never begins.

        It may be called again, for workers that the cluster has started anew meanwhile.
        """

    @abstractmethod
    def end(self) -> None:
        """Ends all workers, which queue their trials again, and waits for a while until they have.

        It also removes what the cluster needed for them, and may be called again.
        """


class Cluster(ABC):
    """Where workers are started; an instance holds the settings.

    Attributes:
        detach: Whether a run ends once its workers are started, and leaves them to the cluster.
    """

    detach: bool = False

    @abstractmethod
    def connect(self, need: Need) -> AbstractContextManager[Workers]:
        """Connects to the cluster until the block ends, before a run opens its study.

        Args:
            need: What the run asks for.

        Raises:
            InputError: A package or the cluster isn't there, or its nodes can't reach the storage.
        """
