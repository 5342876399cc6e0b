"""Turns on a device: trainings share it, a latency measurement has it alone.

Two files for each device, in the machine's temporary folder, are locked with flock(2): whoever
trains holds the *room* shared, whoever measures holds it exclusively. Such a lock alone would
starve a measurement for ever, because there is always somebody in the room; so the measurer closes
the *gate* first, and sets a flag that trainings look at before each step: they leave the room, wait
at the gate, and come in again afterwards. The flag is a byte of shared memory, so a look costs a
fraction of a microsecond. The kernel frees the locks of a process that dies; a flag that it left
behind is cleared by the first that passes the open gate.

Processes in containers that don't share a temporary folder don't see each other.
"""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType

import torch

from optnas.devices import device_key, synchronize

try:
    import fcntl
except ImportError:  # Windows: no turns are taken, and measurements say so
    fcntl = None  # type: ignore[assignment]

PATIENCE = 10.0
"""Seconds that a measurement waits for trainings to make room."""
POLL = 0.0005


@contextmanager
def alone(device: torch.device, patience: float | None = None) -> Iterator[bool]:
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
        fcntl.flock(room.gate, fcntl.LOCK_EX)
        room.flag[0] = 1
        try:
            yield room.take(PATIENCE if patience is None else patience)
        finally:
            room.flag[0] = 0
            fcntl.flock(room.lock, fcntl.LOCK_UN)
            fcntl.flock(room.gate, fcntl.LOCK_UN)


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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        synchronize(self._device)
        for room in self._rooms:
            room.close()
        self._rooms = ()

    def give_way(self) -> None:
        """Lets a waiting measurement have the device; to be called before each step."""
        for room in self._rooms:
            if room.flag[0]:
                started = time.perf_counter()
                synchronize(self._device)
                for held in self._rooms:
                    fcntl.flock(held.lock, fcntl.LOCK_UN)
                self._come_in(started)
                return

    def _come_in(self, started: float) -> None:
        for room in self._rooms:
            room.join()
        self.waited += time.perf_counter() - started


class _Room:
    """The two locks of a device, and the flag."""

    def __init__(self, gate: int, lock: int) -> None:
        self.gate = gate
        self.lock = lock
        if os.fstat(gate).st_size < 1:
            os.ftruncate(gate, 1)
        self.flag = mmap.mmap(gate, 1)

    @classmethod
    def open(cls, device: torch.device) -> _Room | None:
        """The room of a device; None where there can't be one."""
        if fcntl is None:
            return None
        key = device_key(device)
        for folder in _folders():
            with suppress(OSError):
                folder.mkdir(exist_ok=True)
                folder.chmod(0o1777)  # for all users of the machine, like the folder above it
            with suppress(OSError):
                return cls(_open(folder / f"{key}.gate"), _open(folder / f"{key}.room"))
        return None

    def take(self, patience: float) -> bool:
        """Waits until nobody else is in the room; False if some stay too long."""
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                if time.monotonic() >= deadline:
                    return False
            time.sleep(POLL)

    def join(self) -> None:
        """Comes in beside others, once the gate is open."""
        fcntl.flock(self.gate, fcntl.LOCK_SH)
        self.flag[0] = 0  # whoever set it is gone: it would be holding the gate
        fcntl.flock(self.lock, fcntl.LOCK_SH)
        fcntl.flock(self.gate, fcntl.LOCK_UN)

    def close(self) -> None:
        """Leaves; closing a file frees its lock."""
        self.flag.close()
        # Unlocked before: a forked process, such as a DataLoader's, may hold the files open.
        fcntl.flock(self.lock, fcntl.LOCK_UN)
        os.close(self.lock)
        os.close(self.gate)


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
