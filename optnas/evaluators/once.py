"""A long training that one process of a study does, while others wait for its result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from optnas.devices.device import repeatable
from optnas.devices.sharing import Sharing
from optnas.errors import StoppedError
from optnas.evaluators.checkpoint import Checkpoint, Resumable
from optnas.utils.random_state import seeded
from optnas.utils.text import duration, number

EVERY = 5.0
"""Seconds between two lines of progress."""
POLL = 0.2
"""Seconds that a process waits for the lock before it checks whether to stop."""

Lines = Callable[[str], None]
IsStopped = Callable[[], bool]


class LongTraining(Resumable, Protocol):
    """A training in steps, of which several make an epoch."""

    step: int
    steps: int

    def train_epoch(self, give_way: Callable[[], None]) -> float:
        """Trains for a number of steps, and returns their mean loss."""


def train_to_the_end(
    training: LongTraining,
    checkpoint: Checkpoint,
    seed: int,
    what: str,
    report: Lines,
    stopped: IsStopped,
) -> None:
    """Trains, from the checkpoint if there is one, until the last step.

    Args:
        training: A training that hasn't begun.
        checkpoint: Its checkpoint.
        seed: Seeds it.
        what: What is trained, for messages.
        report: Receives lines about the progress.
        stopped: Whether to stop for now.

    Raises:
        StoppedError: It was stopped, and its checkpoint was written.
    """
    with Sharing(training.device) as sharing, seeded(seed), repeatable():
        checkpoint.load()
        start = f" from step {training.step}" if training.step else ""
        report(f"training {what}: {training.steps:,} steps{start}")
        began = reported = time.monotonic()
        first = training.step
        while training.step < training.steps:
            if stopped():
                checkpoint.save(now=True)
                raise StoppedError
            loss = training.train_epoch(sharing.give_way)
            checkpoint.save()
            now = time.monotonic()
            if now - reported > EVERY:
                reported = now
                left = (now - began) / (training.step - first) * (training.steps - training.step)
                report(
                    f"{what}: step {training.step:,} of {training.steps:,}, train_loss "
                    f"{number(loss)}, {duration(left)} left"
                )
        report(f"{what}: trained in {duration(time.monotonic() - began)}")


@contextmanager
def locked(folder: Path, what: str, report: Lines, stopped: IsStopped) -> Iterator[None]:
    """Holds the folder's lock; the kernel releases it if the process dies."""
    lock = FileLock(folder / "lock")
    waited = False
    while True:
        try:
            lock.acquire(timeout=POLL)
            break
        except Timeout:
            if stopped():
                raise StoppedError from None
            if not waited:
                report(f"another process trains {what}: waiting for it")
            waited = True
    try:
        yield
    finally:
        lock.release()
