"""Which process runs a trial, and whether it still lives; this works on every storage.

A running trial holds a lease: machine and its boot, process and its start time, the place of the
study's storage, and when the lease was last renewed. On one machine the operating system knows
which processes live, and the place tells whether the lease was copied with the study: a process
that writes to another file doesn't run this trial. Of a process on another machine only the
renewals are known, one a minute, so the machines' clocks must agree within a few minutes.
"""

from __future__ import annotations

import functools
import os
import platform
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optnas.study.attributes import LEASE

RENEW = 60.0
"""Seconds between two renewals of a lease."""
SILENCE = 300.0
"""Seconds without a renewal after which a process of another machine is presumed dead."""
YOUNG = 60.0
"""A running trial without a lease was begun by plain Optuna. It is presumed alive for this many
seconds."""
FORGOTTEN = 86_400.0
"""A running trial without a lease is presumed dead after this many seconds, a day."""
CLAIM = "optnas:claim:"
"""Prefix of a queued trial's system attribute: the lease of a worker that tries to take the trial.
It ends with the worker's id, so no worker writes to another one's claim. It is empty if the worker
was too late."""


def lease(place: str = "") -> dict[str, Any]:
    """The lease of this process, by which others can tell whether it still lives.

    Args:
        place: Of the study's storage (see `optnas.storage.place`).
    """
    pid = os.getpid()
    return {
        "host": _host(),
        "boot": _boot(),
        "pid": pid,
        "started": _started(pid),
        "place": place,
        "renewed": time.time(),
    }


def lease_of(trial: FrozenTrial) -> Mapping[str, Any] | None:
    """The lease that a trial holds, if it holds one."""
    held = trial.user_attrs.get(LEASE)
    return held if isinstance(held, dict) else None


def claims_of(trial: FrozenTrial) -> list[Mapping[str, Any]]:
    """The leases of the workers that try to take a queued trial; one of them may have taken it."""
    claims = [held for key, held in trial.system_attrs.items() if key.startswith(CLAIM)]
    return [held for held in claims if isinstance(held, dict) and held]


def holders(trial: FrozenTrial) -> list[Mapping[str, Any]]:
    """The leases of the workers that may be running a trial; none if plain Optuna began it.

    Only the worker that runs the trial writes the lease. Until then it is one of those that claim
    the trial.
    """
    held = lease_of(trial)
    return claims_of(trial) if held is None else [held]


def end_leases(study: Study) -> None:
    """Ends the leases of a study that was copied just now: its trials run in the original alone."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study._storage.set_trial_user_attr(trial._trial_id, LEASE, {})


def is_dead(lease: Mapping[str, Any], place: str = "") -> bool:
    """Whether no process runs the trial of a lease any more.

    Its process is gone, or runs the trial in another storage, of which this one is a copy. On
    another machine its lease has expired.

    Args:
        lease: The lease.
        place: Of the storage that the lease was read from; empty if it isn't known.
    """
    if lease.get("host") != _host():
        renewed = lease.get("renewed")
        # A clock that was set back makes a time lie ahead.
        return not (isinstance(renewed, (int, float)) and abs(time.time() - renewed) <= SILENCE)
    if lease.get("boot") != _boot():
        return True
    if place and lease.get("place") not in (None, "", place):
        return True
    pid = lease.get("pid")
    return type(pid) is not int or _started(pid) != lease.get("started")


def is_own(held: Mapping[str, Any]) -> bool:
    """Whether this process made the lease."""
    mine = lease()
    return all(held.get(key) == mine[key] for key in ("host", "boot", "pid", "started"))


def same_worker(held: Mapping[str, Any], lease: Mapping[str, Any]) -> bool:
    """Whether two leases belong to one worker; the time of the renewal doesn't matter."""
    return all(held.get(key) == value for key, value in lease.items() if key != "renewed")


def is_alive(trial: FrozenTrial, place: str = "") -> bool:
    """Whether a process is running the trial, which was read from the storage of this place."""
    if trial.state != TrialState.RUNNING:
        return False
    if held := holders(trial):
        return not all(is_dead(lease, place) for lease in held)
    return age(trial) < YOUNG


def is_abandoned(trial: FrozenTrial, place: str = "") -> bool:
    """Whether no process will ever end a running trial.

    Args:
        trial: The trial.
        place: Of the storage that it was read from; empty if it isn't known.
    """
    if held := holders(trial):
        return all(is_dead(lease, place) for lease in held)
    return age(trial) > FORGOTTEN


def age(trial: FrozenTrial) -> float:
    """Seconds since a trial began; if the clock was set back since, seconds until it began."""
    begun = trial.datetime_start
    return abs(time.time() - begun.timestamp()) if begun is not None else float("inf")


class Renewal:
    """Renews the lease of the running trial, as a context manager around a worker's loop.

    Args:
        storage: Where the trial is.
        lease: The worker's lease.
    """

    def __init__(self, storage: BaseStorage, lease: Mapping[str, Any]) -> None:
        self.trial_id: int | None = None
        """The trial that is running now."""
        self._storage = storage
        self._lease = lease
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="optnas lease", daemon=True)

    def __enter__(self) -> Renewal:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _renew(self) -> None:
        while not self._ended.wait(RENEW):
            trial_id = self.trial_id
            if trial_id is None:
                continue
            # If the storage is away, or the trial has just ended, the worker notices that itself.
            with suppress(Exception):
                renewed = {**self._lease, "renewed": time.time()}
                self._storage.set_trial_user_attr(trial_id, LEASE, renewed)


@functools.cache
def _host() -> str:
    """The machine, and the container on it: process ids mean nothing elsewhere."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/etc/machine-id").read_text().strip()[:8])
    if len(parts) == 1:
        parts.append(f"{uuid.getnode():x}")
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid").strip("pid:[]"))
    return "/".join(parts)


@functools.cache
def _boot() -> str:
    """Which start of the machine this is; empty where that isn't known."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _started(pid: int) -> float | None:
    """When a living process started; None if there is none.

    On Linux that is in ticks since the machine started, because a time of day changes when somebody
    sets the clock.
    """
    if platform.system() == "Linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        state, *fields = stat.rpartition(")")[2].split()
        return None if state in "ZX" else float(fields[18])
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return float(round(process.create_time()))
    except psutil.NoSuchProcess:
        return None
