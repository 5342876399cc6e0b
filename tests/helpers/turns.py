"""Tests take turns across processes: one that measures clocks or memory has the machine alone."""

from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: tests run side by side
    fcntl = None

ROOM = Path(__file__)
GATE = Path(__file__).parents[1] / "conftest.py"


@contextmanager
def turn(exclusive):
    """Waits until no other process is in its turn, or for a shared turn until no exclusive one is.

    Who waits for an exclusive turn holds the gate, so that those who share don't starve it.
    """
    if fcntl is None:
        yield
        return
    with open(GATE) as gate, open(ROOM) as room:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(room, fcntl.LOCK_UN)
