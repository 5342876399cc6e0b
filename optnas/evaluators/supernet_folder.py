"""A supernet is trained once, by one process, and kept for all others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from optnas.devices.device import repeatable
from optnas.devices.sharing import Sharing
from optnas.errors import InputError, StoppedError
from optnas.evaluators.base import Report
from optnas.evaluators.checkpoint import FILE, Checkpoint
from optnas.evaluators.supernet import Supernet
from optnas.evaluators.supernet_training import SupernetTraining
from optnas.utils.seeds import seeded
from optnas.utils.text import duration, number

WEIGHTS = "supernet.safetensors"
EVERY = 5.0
"""Seconds between two lines of progress."""
POLL = 0.2
"""Seconds between two looks at whether another process has finished."""

Say = Callable[[str], None]
IsStopped = Callable[[], bool]


def kept(
    training: SupernetTraining,
    seed: int,
    folder: Path | None,
    names: Mapping[str, str],
    say: Say,
    stopped: IsStopped,
) -> Supernet:
    """The supernet of a folder; if it isn't there, it is trained, or another process waited for.

    Args:
        training: A training that hasn't begun.
        seed: Seeds it.
        folder: For the weights, and for checkpoints until they are there; None keeps nothing.
        names: What tells this supernet from others: goes with the weights.
        say: Told how far it is.
        stopped: Whether to give up for now.

    Raises:
        InputError: The folder can't be used, or the training fails.
        StoppedError: It was given up; it goes on from there the next time.
    """
    checkpoint = Checkpoint(Report(folder=folder), training, names)
    if folder is None:
        return _trained(training, checkpoint, seed, say, stopped)
    path = folder / WEIGHTS
    if not path.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _alone(folder, say, stopped):
                if not path.is_file():
                    _trained(training, checkpoint, seed, say, stopped).save(path, names)
                    (folder / FILE).unlink(missing_ok=True)
        except (OSError, SafetensorError) as error:
            raise InputError(f"the shared weights can't be kept in {folder}: {error}") from error
    try:
        return Supernet.load(path)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"the shared weights in {path} can't be read ({error}): remove the file to have them "
            "trained again, in a study of another --name"
        ) from error


def _trained(
    training: SupernetTraining, checkpoint: Checkpoint, seed: int, say: Say, stopped: IsStopped
) -> Supernet:
    with Sharing(training.device) as sharing, seeded(seed), repeatable():
        checkpoint.load()
        whence = f" from step {training.step}" if training.step else ""
        say(f"training the weights that all networks share: {training.steps:,} steps{whence}")
        began = said = time.monotonic()
        first = training.step
        while training.step < training.steps:
            if stopped():
                checkpoint.save(now=True)
                raise StoppedError
            loss = training.train_epoch(sharing.give_way)
            checkpoint.save()
            now = time.monotonic()
            if now - said > EVERY:
                said = now
                left = (now - began) / (training.step - first) * (training.steps - training.step)
                say(
                    f"shared weights: step {training.step:,} of {training.steps:,}, "
                    f"train_loss {number(loss)}, {duration(left)} left"
                )
        say(f"shared weights trained in {duration(time.monotonic() - began)}")
        return training.supernet


@contextmanager
def _alone(folder: Path, say: Say, stopped: IsStopped) -> Iterator[None]:
    """Holds the folder's lock, which the kernel takes from a process that dies."""
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
                say("another process trains the weights that all networks share: waiting for it")
            waited = True
    try:
        yield
    finally:
        lock.release()
