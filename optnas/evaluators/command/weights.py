"""Reads the weights that a command has written, for the network that the search space builds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from optnas.errors import CommandError, InputError
from optnas.evaluators.command.template import Template
from optnas.utils.text import listed, there_are
from optnas.utils.weights_file import ties

_WRAPPERS = ("_orig_mod.", "module.")
"""What `torch.compile` and `DataParallel` put in front of names."""


class WeightsFile:
    """Where a command writes its weights.

    Args:
        given: The path of the file with placeholders, or the path and the key of the weights in it.

    Raises:
        InputError: It is neither, or the path isn't in the trial's folder.
    """

    def __init__(self, given: str | tuple[str, str]) -> None:
        path, key = given if isinstance(given, tuple) and len(given) == 2 else (given, "")
        if not isinstance(path, str) or not isinstance(key, str):
            raise InputError(
                "weights must be a path, or a path and the key of the weights in the file, such as "
                f'("{{folder}}/ckpt.pt", "model"); got {given!r}'
            )
        self._path = Template("weights", path)
        self._key = key
        if "folder" not in self._path.names:
            raise InputError(
                f"weights {path!r} must lie in the trial's own folder, {{folder}}: another trial "
                'would overwrite them. Give the script that folder: weights="{folder}/model.pt"'
            )

    def read(self, values: Mapping[str, object], model: nn.Module) -> Mapping[str, Any]:
        """The weights that were written, under the names that the model has for them.

        Args:
            values: Those of the placeholders.
            model: The network.

        Raises:
            CommandError: There are none, or the file is damaged: another trial's may be whole.
            InputError: They can't be read without running code, or are those of another network.
        """
        path = Path(self._path.filled(values))
        if not path.is_file():
            raise CommandError(
                f"the command ended well, but wrote no {path}: weights= names the file in which it "
                "keeps its weights"
            )
        return _fitting(path, self._part(path, _content(path)), model)

    def _part(self, path: Path, content: Any) -> Mapping[str, Any]:
        if isinstance(content, Mapping) and self._key:
            if self._key not in content:
                raise InputError(
                    f"{path} has no key {self._key!r}; {there_are(self._key, [*map(str, content)])}"
                )
            content = content[self._key]
        if not isinstance(content, Mapping):
            raise InputError(
                f"{path} holds a {type(content).__name__}, not weights: let the script write "
                "model.state_dict()"
            )
        if not any(isinstance(value, Tensor) for value in content.values()):
            raise InputError(
                f"{path} holds no tensors but {listed([*map(str, content)]) or 'nothing'}: give "
                f'the key of the weights, such as weights=("{self._path.text}", "model")'
            )
        return content


def _content(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:  # its own message advises to load without weights_only
        raise InputError(
            f"{path} holds something else than tensors and plain types, and reading that would run "
            "code: let the script write model.state_dict() to a file of its own"
        ) from None
    except (SafetensorError, RuntimeError, OSError, EOFError, KeyError, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise CommandError(f"{path} can't be read as weights: {first}") from error


def _fitting(path: Path, given: Mapping[str, Any], model: nn.Module) -> Mapping[str, Any]:
    own = model.state_dict()
    state = given if given.keys() == own.keys() else _unwrapped(given)
    names = {plain: name for name, plain in zip(own, _unwrapped(own), strict=True)}
    found = {names.get(name, name): value for name, value in state.items()}
    for name, first in ties(own).items():  # a file may have tied tensors once
        if name in found or first in found:
            found.setdefault(name, found.get(first))
            found.setdefault(first, found.get(name))
    missing = [name for name in own if name not in found]
    unknown = [name for name in found if name not in own]
    other = [
        f"{name} has shape {tuple(found[name].shape)} and should have {tuple(value.shape)}"
        for name, value in own.items()
        if isinstance(value, Tensor)
        and isinstance(found.get(name), Tensor)
        and found[name].shape != value.shape
    ]
    if missing or unknown or other:
        reasons = [
            *([f"it has no {listed(missing)}"] if missing else []),
            *([f"the network has no {listed(unknown)}"] if unknown else []),
            *other[:1],
        ]
        raise InputError(
            f"the weights in {path} aren't those of the trial's network ({'; '.join(reasons)}): "
            "the search space must build the network that the command trains"
        )
    return found


def _unwrapped(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state without what wrappers put in front of all of its names."""
    while prefix := next((w for w in _WRAPPERS if state and all(_has(n, w) for n in state)), ""):
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    return {name.replace(_WRAPPERS[0], ""): value for name, value in state.items()}


def _has(name: str, prefix: str) -> bool:
    return name.startswith(prefix)
