"""Trained weights of the front's members, as artifacts of their trials.

Optuna's file-system artifact store keeps the files (safetensors). Which file belongs to which
trial stands in the study's attributes under the key that Optuna's dashboard uses for artifacts of
finished trials, because a finished trial's own attributes can't be changed: weights must go when
their trial leaves the front.
"""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from pathlib import Path

import safetensors.torch
from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.study import Study
from torch import nn

from optnas.errors import InputError

PREFIX = "dashboard:artifacts:"
"""Of the study attributes under which Optuna's dashboard files artifacts, by the trial's id."""
_FILENAME = "weights.safetensors"


class WeightStore:
    """Keeps the weights of chosen trials in a folder.

    Args:
        folder: Made when the first weights come.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._files = FileSystemArtifactStore(self.folder)

    def save(self, study: Study, trial_id: int, model: nn.Module) -> None:
        """Keeps a model's weights for a trial."""
        self.folder.mkdir(parents=True, exist_ok=True)
        artifact_id = str(uuid.uuid4())
        # The store keeps an artifact in the file of its id; save_model writes tied tensors once.
        safetensors.torch.save_model(model, str(self.folder / artifact_id))
        meta = {
            "artifact_id": artifact_id,
            "filename": _FILENAME,
            "mimetype": "application/octet-stream",
            "encoding": None,
        }
        self._write(study, f"{PREFIX}{trial_id}:{artifact_id}", meta)

    def keep_only(self, study: Study, trial_ids: set[int]) -> None:
        """Drops the weights of all other trials."""
        for trial_id, artifact_ids in self._index(study).items():
            if trial_id in trial_ids:
                continue
            for artifact_id in artifact_ids:
                self._write(study, f"{PREFIX}{trial_id}:{artifact_id}", None)
                with suppress(ArtifactNotFound):  # dropped by another worker
                    self._files.remove(artifact_id)

    def load(self, study: Study, trial_id: int, model: nn.Module) -> None:
        """Loads the weights of a trial into its model.

        Raises:
            InputError: They weren't kept, or the file is gone.
        """
        for artifact_id in self._index(study).get(trial_id, []):
            path = self.folder / artifact_id
            if path.is_file():
                safetensors.torch.load_model(model, path)
                return
        raise InputError(
            f"no weights are kept in {self.folder} for this trial: those of front members are, "
            "from the moment they join the front; train it again for others"
        )

    def _index(self, study: Study) -> dict[int, list[str]]:
        index: dict[int, list[str]] = {}
        for key, value in study._storage.get_study_system_attrs(study._study_id).items():
            if key.startswith(PREFIX):
                meta = json.loads(value)
                if meta is not None and meta["filename"] == _FILENAME:
                    trial_id = int(key.removeprefix(PREFIX).split(":")[0])
                    index.setdefault(trial_id, []).append(meta["artifact_id"])
        return index

    def _write(self, study: Study, key: str, meta: dict[str, str | None] | None) -> None:
        study._storage.set_study_system_attr(study._study_id, key, json.dumps(meta))
