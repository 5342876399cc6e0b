"""Writes to a tracker in a thread, so that it neither ends nor slows a study."""

from __future__ import annotations

import logging
import os
import re
import textwrap
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger("optnas")

LIMIT = 10_000
"""Calls that may wait; further ones are dropped."""
PAUSE = 60.0
"""Seconds after a failure in which calls are dropped. Then the tracker may be there again."""
SHORT = 1.0
"""Seconds that the study waits at the end of a trial, once at most if the tracker takes longer."""
PATIENCE, MOST = 30.0, 300.0
"""Seconds that the study waits in the end for one call, and for all of them."""
_PASSWORD = re.compile(r"(://[^\s/:@]*:)[^\s/@]*@")


class Writer:
    """Calls functions one after the other in a thread.

    After a failure there is one warning; calls in the next minute are dropped, and later ones are
    tried again in silence.

    Args:
        name: What the warning calls the tracker.
        now: The clock, in seconds.
    """

    def __init__(self, name: str, now: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._now = now
        self._warned = False
        self._begin()

    def _begin(self) -> None:
        self._calls: deque[Callable[[], object]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._is_busy = False
        self._is_slow = False
        self._failed = -float("inf")
        self._steps = 0

    def put(self, call: Callable[[], object]) -> None:
        """Queues a call."""
        if self._pid != os.getpid():  # a fork has no threads
            self._begin()
        with self._changed:
            if len(self._calls) >= LIMIT:
                self.warn("it is too slow, so part of what happens isn't written to it")
                return
            self._calls.append(call)
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name=f"optnas {self._name}", daemon=True
                )
                self._thread.start()

    def step(self) -> None:
        """A long call says that it has made progress."""
        with self._changed:
            self._steps += 1
            self._changed.notify_all()

    def settle(self) -> None:
        """Waits a moment for what is queued, so that it doesn't disturb measurements afterwards.

        A tracker that takes longer isn't waited for again.
        """
        if not self._is_slow and not self._wait(SHORT):
            self._is_slow = True

    def finish(self) -> None:
        """Waits for what is queued, as long as the tracker takes calls."""
        deadline = self._now() + MOST
        while True:
            before = self._steps
            if self._wait(min(PATIENCE, max(deadline - self._now(), 0))):
                return
            if self._steps == before or self._now() >= deadline:
                self.warn("it doesn't answer, so part of what happened isn't written to it")
                return

    def warn(self, reason: object) -> None:
        """Warns, the first time."""
        if not self._warned:
            self._warned = True
            log.warning("%s: %s; the study continues", self._name, reason)

    @contextmanager
    def harmless(self) -> Iterator[None]:
        """Turns an error of the block into the warning."""
        try:
            yield
        except Exception as error:
            self.warn(failure(error))

    def _wait(self, seconds: float) -> bool:
        """Whether all calls are done after some seconds at most."""
        if self._pid != os.getpid():
            return True
        with self._changed:
            return self._changed.wait_for(lambda: not self._calls and not self._is_busy, seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._calls)
                call = self._calls.popleft()
                self._is_busy = True
            try:
                if self._now() >= self._failed + PAUSE:
                    call()
            except BaseException as error:  # of a package, which may call sys.exit()
                self._failed = self._now()
                self.warn(failure(error))
            with self._changed:
                self._is_busy = False
                self._steps += 1
                self._changed.notify_all()


def failure(error: BaseException) -> str:
    """The first line of what an error says, in short and without the password of an address."""
    text = (str(error).strip().splitlines() or [""])[0]
    text = textwrap.shorten(_PASSWORD.sub(r"\1***@", text), 300, placeholder=" …")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
