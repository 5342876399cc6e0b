"""Files about the front's members, as artifacts of their trials: weights, drawings, ONNX.

Optuna's file-system artifact store keeps the files. The study's attributes list them by trial,
under the key that Optuna's dashboard uses for artifacts of finished trials: a finished trial's own
attributes can't be changed, and files are removed when their trial leaves the front.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

import safetensors.torch
from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.study import Study
from torch import nn

from optnas.errors import InputError

PREFIX = "dashboard:artifacts:"
"""Begins the study attributes in which Optuna's dashboard lists artifacts, by the trial's id."""
WEIGHTS, DRAWING, ONNX = "weights.safetensors", "architecture.svg", "model.onnx"
"""The names of the files; other artifacts of a trial are the user's own."""
_ENTRY = re.compile(rf"{PREFIX}(\d+):.*", re.DOTALL)
_FILE = re.compile("[0-9a-f-]+")
"""A file's name, which is a UUID: a database may be somebody else's, and name any path."""
_TYPES = {
    WEIGHTS: "application/octet-stream",
    DRAWING: "image/svg+xml",
    ONNX: "application/octet-stream",
}


class WeightStore:
    """Keeps the weights of chosen trials, and files about them, in a folder.

    Args:
        folder: The folder; made with the first file.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._files = FileSystemArtifactStore(self.folder)

    def save(self, study: Study, trial_id: int, model: nn.Module) -> None:
        """Keeps a model's weights for a trial."""
        # save_model writes tied tensors once.
        self.add(
            study, trial_id, WEIGHTS, lambda path: safetensors.torch.save_model(model, str(path))
        )

    def add(self, study: Study, trial_id: int, name: str, write: Callable[[Path], object]) -> None:
        """Keeps a file for a trial.

        Args:
            study: The trial's study.
            trial_id: The trial.
            name: `WEIGHTS`, `DRAWING` or `ONNX`.
            write: Writes the file at a path.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        artifact_id = str(uuid.uuid4())
        path = self.folder / artifact_id  # where the store looks for it
        try:
            write(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        meta = {
            "artifact_id": artifact_id,
            "filename": name,
            "mimetype": _TYPES[name],
            "encoding": None,
        }
        self._write(study, f"{PREFIX}{trial_id}:{artifact_id}", meta)

    def keep_only(
        self, study: Study, trial_ids: Collection[int], names: Collection[str] = tuple(_TYPES)
    ) -> None:
        """Removes the files of these names from all other trials."""
        for (trial_id, name), artifact_ids in self._index(study).items():
            if trial_id in trial_ids or name not in names:
                continue
            for artifact_id in artifact_ids:
                self._write(study, f"{PREFIX}{trial_id}:{artifact_id}", None)
                with suppress(ArtifactNotFound):  # another worker removed it
                    self._files.remove(artifact_id)

    def load(self, study: Study, trial_id: int, model: nn.Module) -> None:
        """Loads the weights of a trial into its model.

        Raises:
            InputError: They weren't kept, or the file is gone.
        """
        for artifact_id in self._index(study).get((trial_id, WEIGHTS), []):
            path = self.folder / artifact_id
            if path.is_file():
                safetensors.torch.load_model(model, path)
                return
        raise InputError(
            f"no weights are kept in {self.folder} for this trial: those of front members are, "
            "from the moment they join the front; train it again for others"
        )

    def kept(self, study: Study) -> set[tuple[int, str]]:
        """The kept files, each as the id of its trial and its name."""
        return set(self._index(study))

    def _index(self, study: Study) -> dict[tuple[int, str], list[str]]:
        index: dict[tuple[int, str], list[str]] = {}
        for key, value in study._storage.get_study_system_attrs(study._study_id).items():
            found = _ENTRY.fullmatch(key)
            if found is None:
                continue
            with suppress(
                ValueError, TypeError, KeyError, AttributeError
            ):  # no entry of ours, but left alone
                meta = json.loads(value) or {}
                if meta.get("filename") in _TYPES and _FILE.fullmatch(meta["artifact_id"]):
                    kept = index.setdefault((int(found[1]), meta["filename"]), [])
                    kept.append(meta["artifact_id"])
        return index

    def _write(self, study: Study, key: str, meta: dict[str, str | None] | None) -> None:
        study._storage.set_study_system_attr(study._study_id, key, json.dumps(meta))
