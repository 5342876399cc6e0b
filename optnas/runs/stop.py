"""How a run is stopped: by one Ctrl-C, by a second one, and by SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from optnas.errors import Interrupted, Terminated

SOON = 0.05
"""Seconds until a signal is sent again whose exception Python has dropped."""


class Stop:
    """Whether a run is to end after the trials that are running."""

    def __init__(self) -> None:
        self.requested = False
        self.pass_on: Callable[[], None] = lambda: None
        """Called in the signal's handler when a stop is requested."""

    def request(self) -> None:
        """Requests the stop."""
        self.requested = True
        self.pass_on()


@contextmanager
def stopping(
    stop: Stop, say: Callable[[str], None] | None = None, *, terminate: bool = False
) -> Iterator[None]:
    """Requests a stop at the first Ctrl-C in the block; the second raises KeyboardInterrupt.

    Python handles signals in the main thread alone; in another thread this changes nothing.

    Args:
        stop: Where the stop is requested.
        say: Prints what the first Ctrl-C does.
        terminate: Whether SIGTERM and SIGHUP raise `Terminated`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.request()
        if say is not None:
            say(
                "the running trials are finished first; Ctrl-C again gives them up, and they are "
                "repeated later"
            )

    handlers: dict[str, Callable[[int, FrameType | None], None]] = {"SIGINT": interrupt}
    if terminate:
        handlers |= {"SIGTERM": _terminate, "SIGHUP": _terminate}
    before = {
        number: signal.signal(number, handler)
        for name, handler in handlers.items()
        if (number := getattr(signal, name, None)) is not None  # Windows has no SIGHUP
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_when_preempted() -> None:
    """Lets SIGUSR1 and SIGUSR2, by which SLURM announces a pre-emption, do what SIGTERM does."""
    for name in ("SIGUSR1", "SIGUSR2"):
        if hasattr(signal, name):  # Windows has neither
            signal.signal(getattr(signal, name), _terminate)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated


@contextmanager
def raised_again() -> Iterator[None]:
    """Sends a signal again if what its handler raised in the block was dropped.

    Python drops what is raised while the garbage collector calls something, such as the callbacks
    of SQLAlchemy's weak references: the program would continue as if there had been no signal.
    """
    before = sys.unraisablehook

    def hook(dropped: Any, /) -> None:
        match dropped.exc_value:
            case Interrupted(code=int(code)):
                number = code - 128
            case Terminated():
                number = signal.SIGTERM
            case KeyboardInterrupt():
                number = signal.SIGINT
            case _:
                before(dropped)
                return
        # Not now: this, too, is called by the collector.
        again = threading.Timer(SOON, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
