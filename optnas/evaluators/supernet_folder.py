"""Trains a supernet once, in one process, and keeps it for all others.

Processes of one machine share a folder. Machines that share a PostgreSQL server share the file
through it (`optnas.storage.shared_files`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors import SafetensorError

from optnas.errors import InputError, StoppedError
from optnas.evaluators.checkpoint import FILE, Checkpoint
from optnas.evaluators.epoch_report import Report
from optnas.evaluators.once import IsStopped, Lines, locked, train_to_the_end
from optnas.evaluators.supernet import Supernet
from optnas.evaluators.supernet_training import SupernetTraining
from optnas.storage.shared_files import SharedFiles

WEIGHTS = "supernet.safetensors"
WHAT = "the weights that all networks share"
POLL_SERVER = 1.0
"""Seconds between two looks at whether another machine has trained it."""


def trained_once(
    training: SupernetTraining,
    seed: int,
    folder: Path | None,
    names: Mapping[str, str],
    report: Lines,
    stopped: IsStopped,
    files: SharedFiles | None = None,
) -> Supernet:
    """The supernet of a folder. If it is missing, this process trains it, or waits for another.

    Where machines share files, the first one trains it, and the others take it from there.

    Args:
        training: A training that hasn't begun.
        seed: Seeds the training.
        folder: Keeps the weights, and checkpoints until the weights are there. None keeps nothing.
        names: All that distinguishes this supernet from others; stored with the weights.
        report: Receives lines about the progress.
        stopped: Whether to stop for now.
        files: Where machines share it; None if they don't.

    Raises:
        InputError: The folder can't be used, or the training fails.
        StoppedError: It was stopped; the next call resumes it.
    """
    checkpoint = Checkpoint(Report(folder=folder), training, names)
    if folder is None:
        return _trained(training, checkpoint, seed, report, stopped)
    path = folder / WEIGHTS

    def train() -> None:
        _trained(training, checkpoint, seed, report, stopped).save(path, names)
        (folder / FILE).unlink(missing_ok=True)

    try:
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder, WHAT, report, stopped):
                if not path.is_file():
                    if files is None:
                        train()
                    else:
                        _trained_or_fetched(train, path, files, report, stopped)
        elif files is not None and not files.has(_name(path)):  # trained without the server
            files.put(_name(path), path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"the shared weights can't be kept in {folder}: {error}") from error
    try:
        return Supernet.load(path)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"the shared weights in {path} can't be read ({error}): put the file back from a "
            "backup, or remove it to have them trained again; on the same machine that gives the "
            "same ones, and with others the study is refused"
        ) from error


def _trained_or_fetched(
    train: Callable[[], None], path: Path, files: SharedFiles, report: Lines, stopped: IsStopped
) -> None:
    """Trains the supernet if no other machine does; else waits for it, and takes it from there."""
    name, waited = _name(path), False
    while True:
        with files.turn(name) as own:
            if files.fetch(name, path):
                report(f"took {WHAT} from the study's server")
                return
            if own:
                train()
                # If the lock was lost with its connection, another machine may have been quicker.
                if not files.put(name, path):
                    files.fetch(name, path)
                return
        if stopped():
            raise StoppedError
        if not waited:
            report(f"another machine trains {WHAT}: waiting for it")
        waited = True
        time.sleep(POLL_SERVER)


def _name(path: Path) -> str:
    """The name of a supernet's file where machines share it."""
    return f"{path.parent.name}/{path.name}"


def _trained(
    training: SupernetTraining, checkpoint: Checkpoint, seed: int, report: Lines, stopped: IsStopped
) -> Supernet:
    train_to_the_end(training, checkpoint, seed, WHAT, report, stopped)
    return training.supernet
