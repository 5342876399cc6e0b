"""The folders that an objective keeps for each study, next to the study's storage."""

from __future__ import annotations

from pathlib import Path

from optuna.study import Study

from optnas.storage.urls import Location
from optnas.study.artifacts import WeightStore
from optnas.study.folders import CHECKPOINTS, SHARED, WEIGHTS, StudyFiles, files_of, own_files


class StudyFolders:
    """The folders of the study that is open: next to its storage, under the name that it keeps.

    Args:
        location: Of the storage.
        weights: Whether to keep weights.
    """

    def __init__(self, location: Location, *, weights: bool) -> None:
        self._location = location
        self._keeps_weights = weights
        self._files: StudyFiles | None = None

    def open(self, study: Study, *, write: bool) -> bool:
        """Finds the folders of a study.

        Args:
            study: The study.
            write: Whether the study is run; else it is only read.

        Returns:
            Whether they are others than before.
        """
        before = self._files
        self._files = (own_files if write else files_of)(study, self._location)
        return self._files != before

    @property
    def weights(self) -> WeightStore | None:
        """The store of the weights of the front's members; None keeps none."""
        return WeightStore(self._path(WEIGHTS)) if self._keeps_weights else None

    @property
    def checkpoints(self) -> Path:
        """For the checkpoints of running trials."""
        return self._path(CHECKPOINTS)

    @property
    def shared(self) -> Path:
        """For what the evaluator prepares."""
        return self._path(SHARED)

    def _path(self, suffix: str) -> Path:
        assert self._files is not None
        return self._files.path(suffix)
