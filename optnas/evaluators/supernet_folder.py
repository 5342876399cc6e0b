"""Trains a supernet once, in one process, and keeps it for all others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError

from optnas.errors import InputError
from optnas.evaluators.checkpoint import FILE, Checkpoint
from optnas.evaluators.epoch_report import Report
from optnas.evaluators.once import IsStopped, Lines, locked, train_to_the_end
from optnas.evaluators.supernet import Supernet
from optnas.evaluators.supernet_training import SupernetTraining

WEIGHTS = "supernet.safetensors"
WHAT = "the weights that all networks share"


def trained_once(
    training: SupernetTraining,
    seed: int,
    folder: Path | None,
    names: Mapping[str, str],
    report: Lines,
    stopped: IsStopped,
) -> Supernet:
    """The supernet of a folder. If it is missing, this process trains it, or waits for another.

    Args:
        training: A training that hasn't begun.
        seed: Seeds the training.
        folder: Keeps the weights, and checkpoints until the weights are there. None keeps nothing.
        names: All that distinguishes this supernet from others; stored with the weights.
        report: Receives lines about the progress.
        stopped: Whether to stop for now.

    Raises:
        InputError: The folder can't be used, or the training fails.
        StoppedError: It was stopped; the next call resumes it.
    """
    checkpoint = Checkpoint(Report(folder=folder), training, names)
    if folder is None:
        return _trained(training, checkpoint, seed, report, stopped)
    path = folder / WEIGHTS
    if not path.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder, WHAT, report, stopped):
                if not path.is_file():
                    _trained(training, checkpoint, seed, report, stopped).save(path, names)
                    (folder / FILE).unlink(missing_ok=True)
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


def _trained(
    training: SupernetTraining, checkpoint: Checkpoint, seed: int, report: Lines, stopped: IsStopped
) -> Supernet:
    train_to_the_end(training, checkpoint, seed, WHAT, report, stopped)
    return training.supernet
