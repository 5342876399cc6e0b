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
from typing import TYPE_CHECKING

from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.study import Study

from optnas.errors import InputError
from optnas.study.attributes import DETAIL, has_inherited

if TYPE_CHECKING:  # it takes seconds to import; a command that reads a study needs the names alone
    from torch import nn

PREFIX = "dashboard:artifacts:"
"""Begins the study attributes in which Optuna's dashboard lists artifacts, by the trial's id."""
WEIGHTS, DRAWING, ONNX = "weights.safetensors", "architecture.svg", "model.onnx"
TORCH_WEIGHTS = "weights.pt"
"""Weights that safetensors can't hold, written by `torch.save`. With the names above, these are the
names of the files; other artifacts of a trial are the user's own."""
SHA256 = "sha256"
"""The hash of a file, in its entry; entries of older versions have none."""
NOT_KEPT = "not kept: "
"""Begins the trial attribute `WEIGHTS_DETAIL` if the weights can't be kept; the reason follows."""
NAMED = "those of the scores, as the training code says"
"""The same attribute if the training code has named them with `report.weights`."""
WEIGHTS_DETAIL = f"{DETAIL}weights"
"""The trial attribute that says why weights aren't kept, or whose they are."""
_ENTRY = re.compile(rf"{PREFIX}(\d+):.*", re.DOTALL)
_FILE = re.compile("[0-9a-f-]+")
"""A file's name, which is a UUID: a database may be somebody else's, and name any path."""
_TYPES = {
    WEIGHTS: "application/octet-stream",
    TORCH_WEIGHTS: "application/octet-stream",
    DRAWING: "image/svg+xml",
    ONNX: "application/octet-stream",
}


class WeightStore:
    """Keeps the weights of chosen trials, and files about them, in a folder.

    Args:
        folder: The folder; made with the first file.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()
        self._files = FileSystemArtifactStore(self.folder)

    def save(self, study: Study, trial_id: int, model: nn.Module) -> None:
        """Keeps a model's weights for a trial.

        Raises:
            InputError: They can't be kept so that reading them runs no code.
        """
        from optnas.utils.weights_file import is_plain, save_weights

        state = model.state_dict()
        name = WEIGHTS if is_plain(state) else TORCH_WEIGHTS
        self.add(study, trial_id, name, lambda path: save_weights(state, path))

    def add(self, study: Study, trial_id: int, name: str, write: Callable[[Path], object]) -> None:
        """Keeps a file for a trial.

        Args:
            study: The trial's study.
            trial_id: The trial.
            name: One of this module's names.
            write: Writes the file at a path.
        """
        from optnas.utils.weights_file import sha256

        self.folder.mkdir(parents=True, exist_ok=True)
        artifact_id = str(uuid.uuid4())
        path = self.folder / artifact_id  # where the store looks for it
        try:
            write(path)
            digest = sha256(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        meta = {
            "artifact_id": artifact_id,
            "filename": name,
            "mimetype": _TYPES[name],
            "encoding": None,
            SHA256: digest,
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
            InputError: They weren't kept, the file is gone or damaged, or it was changed since it
                was written.
            RuntimeError: They don't fit the model.
        """
        from optnas.utils.weights_file import load_into

        path = self.weights_path(study, trial_id)
        self.check(study, trial_id)
        load_into(model, path)

    def weights_path(self, study: Study, trial_id: int) -> Path:
        """The file of a trial's weights.

        Raises:
            InputError: They weren't kept, or the file is gone.
        """
        return self._weights(study, trial_id)[0]

    def check(self, study: Study, trial_id: int) -> bool:
        """Compares the file of a trial's weights with the hash in its entry.

        Returns:
            Whether there is a hash: entries of older versions have none.

        Raises:
            InputError: They weren't kept, the file is gone, or it was changed since it was written.
        """
        from optnas.utils.weights_file import sha256

        path, digest = self._weights(study, trial_id)
        if digest and sha256(path) != digest:
            number = study._storage.get_trial(trial_id).number
            raise InputError(
                f"the file of the weights of trial {number}, {path}, was changed since the search "
                "wrote it, so its weights aren't those of the scores: put the file back from a "
                "backup, or train the network again"
            )
        return bool(digest)

    def _weights(self, study: Study, trial_id: int) -> tuple[Path, str]:
        """The path of a trial's weights, and their hash (empty if there is none)."""
        index = self._index(study)
        for name in (WEIGHTS, TORCH_WEIGHTS):
            for artifact_id in index.get((trial_id, name), []):
                path = self.folder / artifact_id
                if path.is_file():
                    key = f"{PREFIX}{trial_id}:{artifact_id}"
                    entry = study._storage.get_study_system_attrs(study._study_id)[key]
                    return path, str(json.loads(entry).get(SHA256, ""))
        why = study._storage.get_trial(trial_id).user_attrs.get(WEIGHTS_DETAIL, "")
        if str(why).startswith(NOT_KEPT):
            raise InputError(f"no weights are kept in {self.folder} for this trial ({why})")
        if has_inherited(study):
            raise InputError(
                "its network was scored with shared weights, and has none of its own: train it"
            )
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
                file = meta["artifact_id"]
                own = _FILE.fullmatch(file) and key.endswith(f":{file}")
                if own and meta.get("filename") in _TYPES:
                    index.setdefault((int(found[1]), meta["filename"]), []).append(file)
        return index

    def _write(self, study: Study, key: str, meta: dict[str, str | None] | None) -> None:
        study._storage.set_study_system_attr(study._study_id, key, json.dumps(meta))


def artifact_ids(study: Study) -> set[str]:
    """The names of all files that a study lists as artifacts, the user's own ones included."""
    attrs = study._storage.get_study_system_attrs(study._study_id)
    keys = [key for key, value in attrs.items() if _ENTRY.fullmatch(key) and value != "null"]
    names = {key.rsplit(":", 1)[1] for key in keys}
    return {name for name in names if _FILE.fullmatch(name)}
