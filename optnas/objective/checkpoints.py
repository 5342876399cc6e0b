"""The folders where trials keep checkpoints, each for a trial and its retries.

A retry goes on from what the lost trial has written. When a trial ends in any way but being lost,
its folder goes.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.errors import TrialTimeout
from optnas.storage.faults import storage_fault
from optnas.study.attributes import is_lost, retry_of
from optnas.study.places import origin


@contextmanager
def checkpoint_folder(
    checkpoints: Path | None, trial: FrozenTrial, trials: Sequence[FrozenTrial]
) -> Iterator[Path | None]:
    """The folder of a trial while it runs; it stays only where the trial is lost.

    Args:
        checkpoints: The folder of all of them; None keeps none.
        trial: The trial.
        trials: All trials of its study, in the order of their numbers.
    """
    folder = checkpoints and _folder(checkpoints, trial, trials)
    try:
        yield folder
    except (Exception, SystemExit, TrialTimeout) as error:  # sys.exit() is a failure of the code
        # What another worker repeats already goes on from here, as does what the storage lost.
        if not isinstance(error, UpdateFinishedTrialError) and not storage_fault(error):
            _remove(folder)
        raise
    else:
        _remove(folder)


def sweep(checkpoints: Path | None, study: Study) -> None:
    """Removes the folders of trials that are over: no retry will read them."""
    if checkpoints is None:
        return
    # Listed before the trials: a trial that begins in between keeps its folder.
    there = [path for path in checkpoints.glob("*") if re.fullmatch(r"trial\d+", path.name)]
    if not there:
        return
    trials = study.get_trials(deepcopy=False)
    repeated = {retry_of(trial) for trial in trials}
    needed = {
        _folder(checkpoints, trial, trials)
        for trial in trials
        if not trial.state.is_finished() or (is_lost(trial) and trial.number not in repeated)
    }
    for folder in there:
        if folder not in needed:
            _remove(folder)


def _folder(checkpoints: Path, trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> Path:
    return checkpoints / f"trial{origin(trial, trials)}"


def _remove(folder: Path | None) -> None:
    """Removes the folder of a trial, and the folder around it with the last one."""
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # there are others, or it was never made
            folder.parent.rmdir()
