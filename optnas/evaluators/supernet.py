"""One tensor for each parameter name: every network of a search space is made of slices of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from optnas.evaluators.slices import Part, parts
from optnas.utils.whole_file import whole_file


class Growth(NamedTuple):
    """A shared tensor that was replaced by a larger one."""

    old: Part
    """The old tensor's part of the new one."""
    before: Tensor
    after: Tensor


class Supernet:
    """The weights that all networks share: a tensor for each key, at the largest shape admitted.

    Args:
        tensors: Them, by key (see `slices.Part`).
    """

    def __init__(self, tensors: Mapping[str, Tensor] | None = None) -> None:
        self.tensors = dict(tensors or {})

    @torch.no_grad()
    def admit(self, model: nn.Module) -> list[Growth]:
        """Makes tensors for what a network has and the supernet hasn't, and larger ones.

        A new tensor has the network's initial values. What is added to a tensor is drawn from the
        normal distribution with their mean and deviation, so that a constant stays one.

        Returns:
            Which tensors were replaced.

        Raises:
            InputError: A parameter can be no slice of its tensor.
        """
        own = dict(model.named_parameters())
        grown = []
        for part in parts(model):
            values = own[part.name]
            before = self.tensors.get(part.key)
            if before is None:
                self.tensors[part.key] = values.detach().clone().requires_grad_()
                continue
            shape = part.grown(before.shape)
            if shape != before.shape:
                deviation = float(values.std(correction=0)) if values.numel() else 0.0
                after = torch.empty(shape, dtype=before.dtype, device=before.device)
                after.normal_(float(values.mean()), deviation)
                old = replace(part, shape=before.shape)
                old.put(before, after)
                self.tensors[part.key] = after.requires_grad_()
                grown.append(Growth(old, before, after))
        return grown

    def slices(self, model: nn.Module) -> dict[str, Tensor]:
        """The parameters of an admitted network by name, for `torch.func.functional_call`."""
        return {part.name: part.of(self.tensors[part.key]) for part in parts(model)}

    @torch.no_grad()
    def load_into(self, model: nn.Module) -> list[str]:
        """Copies the slices of a network into it.

        Returns:
            The names of parameters that aren't in the supernet, or not wholly: what isn't there
            keeps the network's own values.
        """
        own = dict(model.named_parameters())
        missing = []
        for part in parts(model):
            tensor = self.tensors.get(part.key)
            if tensor is None or tensor.ndim != len(part.shape):
                missing.append(part.name)
                continue
            if not part.covers(tensor.shape):
                missing.append(part.name)
            shared = replace(part, shape=torch.Size(map(min, part.shape, tensor.shape)))
            shared.put(shared.of(tensor), own[part.name])
        return missing

    def save(self, path: Path, names: Mapping[str, str]) -> None:
        """Writes a safetensors file, with names in its metadata."""
        with whole_file(path) as part:
            tensors = {key: t.detach().cpu().contiguous() for key, t in self.tensors.items()}
            save_file(tensors, part, dict(names))

    @classmethod
    def load(cls, path: Path) -> Supernet:
        """Reads what `save` has written, onto the CPU."""
        return cls(load_file(path))

    def to(self, device: torch.device) -> Supernet:
        """These weights on a device."""
        return Supernet({key: tensor.detach().to(device) for key, tensor in self.tensors.items()})

    @property
    def digest(self) -> str:
        """A hash of all values."""
        found = hashlib.sha256()
        for key in sorted(self.tensors):
            found.update(key.encode())
            found.update(self.tensors[key].detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()[:12]
