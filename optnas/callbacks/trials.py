"""Which of a study's trials a process writes to a tracker, and which weights are kept."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.storage.place import place_of
from optnas.study.artifacts import TORCH_WEIGHTS, WEIGHTS, WeightStore
from optnas.study.attributes import SURPLUS
from optnas.study.leases import is_dead, is_own, lease_of


def ended_trials(study: Study) -> list[FrozenTrial]:
    """The trials that have ended, without superfluous ones."""
    trials = study.get_trials(deepcopy=False)
    return [t for t in trials if t.state.is_finished() and SURPLUS not in t.user_attrs]


def left_trials(study: Study, but: Collection[int] = ()) -> list[FrozenTrial]:
    """The trials that have ended and that no other living process writes.

    Args:
        study: The study.
        but: Numbers of trials of this process that it has written already.
    """
    place = place_of(study._storage)

    def is_left(trial: FrozenTrial) -> bool:
        held = lease_of(trial)
        if not held or is_own(held):
            return trial.number not in but
        return is_dead(held, place)

    return [trial for trial in ended_trials(study) if is_left(trial)]


def kept_weights(
    store: WeightStore, study: Study, ids: Mapping[int, int]
) -> Iterator[tuple[int, str, Path]]:
    """The number, the kind of file and the path of the weights that are kept of some trials.

    Args:
        store: Where they are kept.
        study: The study.
        ids: The trials' ids by number.
    """
    kept = store.kept(study)
    for number, trial_id in ids.items():
        for name in (WEIGHTS, TORCH_WEIGHTS):
            if (trial_id, name) in kept:
                yield number, name, store.weights_path(study, trial_id)
                break


@contextmanager
def copied_as(name: str, path: Path) -> Iterator[Path]:
    """A copy of a file under another name, for the block; the original may go away meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copyfile(path, Path(folder, name)))
