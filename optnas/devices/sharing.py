"""Trainings share a device; a latency measurement uses it exclusively.

This is a readers-writer lock in which the writer goes first, for all processes of a machine. Each
device has two lock files in the machine's temporary folder, locked with flock(2):

- the *lock*: each training holds it shared, a measurement holds it exclusively;
- the *gate*: a measurement closes it before it waits for the lock, and a training passes through
  it before it takes the lock. Without the gate a measurement could wait for ever, because some
  training always holds the lock.

A measurement also sets a *flag*, which trainings read before each step: they release the lock, wait
at the gate, and take the lock again afterwards. The flag is a byte of shared memory, so reading it
costs a fraction of a microsecond. The kernel frees the locks of a process that dies; the first
training that passes the open gate clears a flag that was left set.

No process waits for ever. If trainings don't release the lock within `PATIENCE` seconds, the
measurement runs at the same time as they do, and reports this. A process that has waited `LIMIT`
seconds for a measurement to end continues without the lock.

Two limits: processes in containers with different temporary folders don't see each other, and
processes that a training starts itself, such as a DataLoader's, keep working until their queues are
full.
"""

from __future__ import annotations

import errno
import logging
import mmap
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import torch

from optnas.devices.device import device_key, synchronize

try:
    import fcntl
except (
    ImportError
):  # Windows: nothing is locked, and measurements report that they may be disturbed
    fcntl = None  # type: ignore[assignment]

PATIENCE = 10.0
"""Seconds that a measurement waits for trainings to release the device."""
LIMIT = 300.0
"""Seconds that any process waits for a measurement to end: the measuring process may be stopped."""
POLL = 0.0005
"""Seconds between two tries to take the lock; short, because a measurement waits."""
POLL_GATE = 0.005
"""Seconds between two tries to pass the gate; long, so that waiting doesn't disturb."""

log = logging.getLogger("optnas")


@contextmanager
def exclusive(device: torch.device, patience: float | None = None) -> Iterator[bool]:
    """Uses a device exclusively: trainings release it at their next step.

    Args:
        device: The device to measure on.
        patience: Seconds to wait for running trainings, `PATIENCE` by default; after that the block
            runs at the same time as they do.

    Yields:
        Whether all trainings released the device. False also where nothing can be locked.

    Example:
        ```python
        import torch
        from optnas.devices.sharing import exclusive

        with exclusive(torch.device("cpu")) as undisturbed:
            ...  # measure
        ```
    """
    locks = _Locks.open(device)
    if locks is None:
        yield False
        return
    with closing(locks):
        if not _until(lambda: _lock(locks.gate, exclusive=True), LIMIT, POLL_GATE):
            yield False
            return
        locks.flag[0] = 1
        try:
            seconds = PATIENCE if patience is None else patience
            yield _until(lambda: _lock(locks.lock, exclusive=True), seconds, POLL)
        finally:
            locks.flag[0] = 0


class Sharing:
    """Shares a device with other trainings, and releases it while a measurement needs it.

    A context manager. A training on a GPU keeps a CPU core busy too, so it shares both devices.
    Inside of another one that shares the same devices it is a step of that one (`give_way`): if it
    waited at the gate itself, the measurement would wait for the outer one meanwhile.

    Args:
        device: The device to train on.

    Attributes:
        waited: Seconds spent waiting for measurements.
    """

    def __init__(self, device: torch.device) -> None:
        self.waited = 0.0
        self._device = device
        self._devices = {device, torch.device("cpu")}
        self._held: tuple[_Locks, ...] = ()
        self._outer: Sharing | None = None

    def __enter__(self) -> Sharing:
        self._outer = _here.sharing
        _here.sharing = self
        if self._is_inner:
            self.give_way()
            return self
        try:
            opened = [_Locks.open(d) for d in sorted(self._devices, key=str)]
            self._held = tuple(locks for locks in opened if locks is not None)
            self._acquire(time.perf_counter())
        except BaseException:
            _here.sharing = self._outer
            raise
        return self

    def __exit__(self, *_: object) -> None:
        _here.sharing = self._outer
        try:
            synchronize(self._device)
        finally:
            self._close()

    @property
    def _is_inner(self) -> bool:
        return self._outer is not None and self._devices <= self._outer._devices

    def give_way(self) -> None:
        """Releases the device while a measurement waits for it; call this before each step."""
        if self._outer is not None:
            self._outer.give_way()
        for locks in self._held:
            if locks.flag[0]:
                started = time.perf_counter()
                synchronize(self._device)
                for held in self._held:
                    _unlock(held.lock)
                self._acquire(started)
                return

    def _acquire(self, started: float) -> None:
        """Takes all locks once every gate is open; holds none of them while it waits."""
        try:
            acquired = _until(self._try_to_acquire, LIMIT, POLL_GATE)
        except BaseException:  # Ctrl-C while waiting
            self._close()
            raise
        self.waited += time.perf_counter() - started
        if not acquired:
            log.warning(
                "a measurement on %s didn't end within %g s: training continues at the same time",
                self._device,
                LIMIT,
            )
            self._close()

    def _try_to_acquire(self) -> bool:
        passed = [locks for locks in self._held if _lock(locks.gate, exclusive=False)]
        if len(passed) == len(self._held):
            for locks in self._held:
                locks.flag[0] = 0  # the process that set it is dead: it would hold the gate
                _lock(locks.lock, exclusive=False)
        for locks in passed:
            _unlock(locks.gate)
        return len(passed) == len(self._held)

    def _close(self) -> None:
        for locks in self._held:
            locks.close()
        self._held = ()


def is_awaited() -> bool:
    """Whether a measurement waits for a device that this thread's training shares."""
    sharing = _here.sharing
    while sharing is not None:
        if any(locks.flag[0] for locks in sharing._held):
            return True
        sharing = sharing._outer
    return False


class _Thread(threading.local):
    """The innermost `Sharing` that the present thread is inside of."""

    sharing: Sharing | None = None


_here = _Thread()


class _Locks:
    """The gate, the lock and the flag of one device."""

    def __init__(self, gate: int, lock: int) -> None:
        self.gate = gate
        self.lock = lock
        if os.fstat(gate).st_size < 1:
            os.pwrite(gate, b"\0", 0)  # fails on a full disk, where touching the map would crash
        self.flag = mmap.mmap(gate, 1)

    @classmethod
    def open(cls, device: torch.device) -> _Locks | None:
        """Opens the files of a device; None where there can't be any."""
        if fcntl is None:
            return None
        key = device_key(device)
        for folder in _folders():
            with suppress(OSError):
                folder.mkdir()
                folder.chmod(0o1777)  # for all users of the machine, like the folder above it
            opened: list[int] = []
            try:
                opened.append(_open(folder / f"{key}.gate"))
                # Named as in earlier versions, whose processes may run at the same time.
                opened.append(_open(folder / f"{key}.room"))
                return cls(*opened)
            except OSError:
                for file in opened:
                    os.close(file)
        return None

    def close(self) -> None:
        """Frees both locks and closes their files."""
        self.flag.close()
        for file in (self.lock, self.gate):
            # Closing isn't enough: a forked process, such as a DataLoader's, may hold it open.
            _unlock(file)
            os.close(file)


def _lock(file: int, *, exclusive: bool) -> bool:
    """Takes a lock if it is free now."""
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return False
    return True


def _unlock(file: int) -> None:
    fcntl.flock(file, fcntl.LOCK_UN)


def _until(done: Callable[[], bool], seconds: float, poll: float) -> bool:
    """Tries until `done` returns True; False once the seconds are over."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(poll)
    return True


def _folders() -> list[Path]:
    """Folders to try: one that all users of the machine share, else the user's own."""
    base = Path(tempfile.gettempdir())
    return [base / "optnas", base / f"optnas-{os.getuid()}"]


def _open(path: Path) -> int:
    """Opens a file of any owner, or creates one that every user may open."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        opened = os.open(path, flags | os.O_CREAT, 0o666)
        with suppress(OSError):
            os.fchmod(opened, 0o666)
        return opened
