"""The folders of the trials' checkpoints, each for a trial and its retries.

A retry resumes from the checkpoint of the lost trial. The folder of a trial is removed when it
ends, and stays if it is lost.
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

from optnas.storage.faults import storage_fault
from optnas.study.attributes import is_lost, retry_of
from optnas.study.trial_order import origin


@contextmanager
def checkpoint_folder(
    checkpoints: Path | None, trial: FrozenTrial, trials: Sequence[FrozenTrial]
) -> Iterator[Path | None]:
    """The folder of a trial while it runs; it stays only if the trial is lost.

    Args:
        checkpoints: The folder that holds the folders of all trials; None keeps none.
        trial: The trial.
        trials: All trials of its study, in the order of their numbers.
    """
    folder = checkpoints and _folder(checkpoints, trial, trials)
    try:
        yield folder
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # sys.exit() is an error of the code
        # A retry will need the folder if another worker repeats the trial already, or if the
        # storage failed.
        if not isinstance(error, UpdateFinishedTrialError) and not storage_fault(error):
            _remove(folder)
        raise
    else:
        _remove(folder)


def sweep(checkpoints: Path | None, study: Study) -> None:
    """Removes the folders of trials that no retry will resume."""
    if checkpoints is None:
        return
    # Listed before the trials are read: a trial that begins in between keeps its folder.
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
    """Removes the folder of a trial, and its parent if that is empty then."""
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # not empty, or never made
            folder.parent.rmdir()
