"""The actors of a run on Ray: made, watched, told to finish, and ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from optnas.clusters.base import Ending, NodeJob, Workers
from optnas.clusters.ray_node import RayNode
from optnas.runs.logs import in_folder
from optnas.runs.starter import PATIENCE
from optnas.utils.text import plural

CHUNK = 2**20
"""Bytes of a log that are fetched at once."""
LAST_SECONDS = 2.0
"""Seconds that the last lines of a log may take to come."""
NO_START = ("failed to import", "error raised in its creation task")
"""Parts of Ray's messages about an actor that couldn't be made."""


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


class RayActors(Workers):
    """The actors of a run.

    Args:
        ray: The package, which is connected to the cluster.
        threads: CPUs of each actor.
        gpus: GPUs of each actor.
        file: The study file in the folder that Ray copies; empty if it copies none.
    """

    def __init__(self, ray: Any, threads: int, gpus: float, file: str) -> None:
        # Each method runs in a thread of its own: a worker is told to finish while it runs.
        self._class = ray.remote(RayNode).options(
            num_cpus=threads, num_gpus=gpus, max_concurrency=4, scheduling_strategy="SPREAD"
        )
        self._ray = ray
        self._file = file
        self._actors: list[_Actor] = []
        self._dropped: list[NodeJob] = []

    def start(self, jobs: Sequence[NodeJob], logs: str) -> str:
        """Makes an actor for each job (see `Workers.start`)."""
        Path(logs).mkdir(exist_ok=True)
        for job in jobs:
            here = replace(job.job, file=self._file, folder=None) if self._file else job.job
            handle = self._class.remote(replace(job, job=here))
            log = Path(logs) / job.log_name("ray")
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
                    with in_folder(actor.log.parent, partial(open, actor.log, "ab")) as file:
                        file.write(text)

    def _drop(self, actor: _Actor) -> None:
        self._dropped.append(actor.job)
        self._remove(actor)

    def _remove(self, actor: _Actor) -> None:
        self._ray.kill(actor.handle)
        self._actors.remove(actor)
