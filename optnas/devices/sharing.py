"""Turns on a device: trainings share it, a latency measurement has it alone.

Two files for each device, in the machine's temporary folder, are locked with flock(2): whoever
trains holds the *room* shared, whoever measures holds it exclusively. Such a lock alone would
starve a measurement for ever, because there is always somebody in the room; so the measurer closes
the *gate* first, and sets a flag that trainings look at before each step: they leave the room, wait
at the gate, and come in again afterwards. The flag is a byte of shared memory, so a look costs a
fraction of a microsecond. The kernel frees the locks of a process that dies; a flag that it left
behind is cleared by the first that passes the open gate.

Nobody waits for ever: a measurement goes on beside trainings that don't make room for `PATIENCE`
seconds (and says so), and whoever waits for a measurement goes on after `LIMIT`.

Processes in containers that don't share a temporary folder don't see each other; and what a
training starts itself, such as a DataLoader's workers, goes on until its queues are full.
"""

from __future__ import annotations

import errno
import logging
import mmap
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import torch

from optnas.devices.device import device_key, synchronize

try:
    import fcntl
except ImportError:  # Windows: no turns are taken, and measurements say so
    fcntl = None  # type: ignore[assignment]

PATIENCE = 10.0
"""Seconds that a measurement waits for trainings to make room."""
LIMIT = 300.0
"""Seconds that anybody waits for a measurement to end: its process may have been stopped."""
POLL = 0.0005
POLL_GATE = 0.005
"""Seconds between two tries: short before a measurement, long while one goes on."""

log = logging.getLogger("optnas")


@contextmanager
def exclusive(device: torch.device, patience: float | None = None) -> Iterator[bool]:
    """Has the device to itself: trainings on it make room at their next step.

    Args:
        device: Where to measure.
        patience: Seconds to wait for trainings that are under way; then it goes on beside them.

    Yields:
        Whether all of them made room.
    """
    room = _Room.open(device)
    if room is None:
        yield False
        return
    with closing(room):
        if not _until(lambda: _lock(room.gate, exclusive=True), LIMIT, POLL_GATE):
            yield False
            return
        room.flag[0] = 1
        try:
            seconds = PATIENCE if patience is None else patience
            yield _until(lambda: _lock(room.lock, exclusive=True), seconds, POLL)
        finally:
            room.flag[0] = 0


class Sharing:
    """Uses a device beside others, as a context manager, and makes room when asked.

    A training on a GPU keeps a core of the CPU busy too, so it shares both.

    Attributes:
        waited: Seconds spent waiting for measurements.
    """

    def __init__(self, device: torch.device) -> None:
        self.waited = 0.0
        self._device = device
        self._rooms: tuple[_Room, ...] = ()

    def __enter__(self) -> Sharing:
        devices = {self._device, torch.device("cpu")}
        rooms = [_Room.open(d) for d in sorted(devices, key=str)]
        self._rooms = tuple(room for room in rooms if room is not None)
        self._come_in(time.perf_counter())
        return self

    def __exit__(self, *_: object) -> None:
        try:
            synchronize(self._device)
        finally:
            self._leave_for_good()

    def give_way(self) -> None:
        """Lets a waiting measurement have the device; to be called before each step."""
        for room in self._rooms:
            if room.flag[0]:
                started = time.perf_counter()
                synchronize(self._device)
                for held in self._rooms:
                    _unlock(held.lock)
                self._come_in(started)
                return

    def _come_in(self, started: float) -> None:
        """Waits until every gate is open, in no room meanwhile, and then is in all rooms."""
        try:
            came = _until(self._join_all, LIMIT, POLL_GATE)
        except BaseException:  # Ctrl-C while waiting
            self._leave_for_good()
            raise
        self.waited += time.perf_counter() - started
        if not came:
            log.warning("a measurement on %s doesn't end; training goes on beside it", self._device)
            self._leave_for_good()

    def _join_all(self) -> bool:
        passed = [room for room in self._rooms if _lock(room.gate, exclusive=False)]
        if len(passed) == len(self._rooms):
            for room in self._rooms:
                room.flag[0] = 0  # whoever set it is gone: it would be holding the gate
                _lock(room.lock, exclusive=False)
        for room in passed:
            _unlock(room.gate)
        return len(passed) == len(self._rooms)

    def _leave_for_good(self) -> None:
        for room in self._rooms:
            room.close()
        self._rooms = ()


class _Room:
    """The two locks of a device, and the flag."""

    def __init__(self, gate: int, lock: int) -> None:
        self.gate = gate
        self.lock = lock
        if os.fstat(gate).st_size < 1:
            os.pwrite(gate, b"\0", 0)  # fails where the disk is full, as touching the map would
        self.flag = mmap.mmap(gate, 1)

    @classmethod
    def open(cls, device: torch.device) -> _Room | None:
        """The room of a device; None where there can't be one."""
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
                opened.append(_open(folder / f"{key}.room"))
                return cls(*opened)
            except OSError:
                for file in opened:
                    os.close(file)
        return None

    def close(self) -> None:
        """Leaves: frees both locks."""
        self.flag.close()
        for file in (self.lock, self.gate):
            # Not by closing alone: a forked process, such as a DataLoader's, may hold it open.
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
    """Tries until it is done, or the time is up."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(poll)
    return True


def _folders() -> list[Path]:
    """Where the files may lie: one folder for the machine, or else the user's own."""
    base = Path(tempfile.gettempdir())
    return [base / "optnas", base / f"optnas-{os.getuid()}"]


def _open(path: Path) -> int:
    """Opens a file of somebody's, or makes one that everybody may open."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        opened = os.open(path, flags | os.O_CREAT, 0o666)
        with suppress(OSError):
            os.fchmod(opened, 0o666)
        return opened
