"""A limit on the time that one trial may take."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from optnas.errors import InputError, TrialTimeout
from optnas.utils.text import duration

AGAIN = 5.0
"""Seconds between two rings of the alarm of a trial whose time is up."""


def check_timeout(seconds: float | None) -> None:
    """Raises InputError unless the limit is positive and this system has the signals for it."""
    if seconds is None:
        return
    if not seconds > 0:
        raise InputError(f"trial_timeout must be above 0 seconds, got {seconds:g}")
    if not hasattr(signal, "setitimer"):
        raise InputError("trial_timeout needs POSIX signals, which this system doesn't have")


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raises TrialTimeout in the block once the time is up; None sets no limit.

    Compiled code is interrupted when it returns to Python. Python drops what is raised while the
    garbage collector calls something, and so may the study's code: therefore the alarm rings again,
    until the block ends. It raises nothing while the block cleans up after TrialTimeout.

    Raises:
        InputError: This isn't the main thread; signals interrupt no other.
    """
    if seconds is None or seconds == float("inf"):
        yield
        return
    if threading.current_thread() is not threading.main_thread():
        raise InputError("trial_timeout works in the main thread of a process alone")

    def ring(_signal: int, _frame: FrameType | None) -> None:
        if not _is_handled():
            raise TrialTimeout(f"took longer than {duration(seconds)} (trial_timeout)")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        yield
    finally:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
        finally:  # the alarm may have rung just before
            signal.signal(signal.SIGALRM, before)


def _is_handled() -> bool:
    """Whether an except or finally block that TrialTimeout has reached is running."""
    error = sys.exception()
    while error is not None:
        if isinstance(error, TrialTimeout):
            return True
        error = error.__context__
    return False
