"""The supernet: one tensor for each parameter name, of which every network takes slices."""

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
    """A shared tensor that was replaced by a larger one.

    Attributes:
        old: The old tensor's part of the new one.
        before: The old tensor.
        after: The new one.
    """

    old: Part
    before: Tensor
    after: Tensor


class Supernet:
    """The weights that all networks share: a tensor for each key, at the largest admitted shape.

    Args:
        tensors: The tensors by key (see `slices.Part`).

    Attributes:
        tensors: The tensors by key.
    """

    def __init__(self, tensors: Mapping[str, Tensor] | None = None) -> None:
        self.tensors = dict(tensors or {})

    @torch.no_grad()
    def admit(self, model: nn.Module) -> list[Growth]:
        """Adds the parameters of a network that the supernet lacks, and enlarges its tensors.

        A new tensor has the network's initial values. The added part of a tensor is drawn from the
        normal distribution with the mean and deviation of those values, so that a constant stays
        one.

        Returns:
            The tensors that were replaced.

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
        """The parameters of an admitted network by name, for `torch.func.functional_call`.

        Those that the network has frozen get no gradient.
        """
        own = dict(model.named_parameters())
        found = {part.name: part.of(self.tensors[part.key]) for part in parts(model)}
        return {n: t if own[n].requires_grad else t.detach() for n, t in found.items()}

    @torch.no_grad()
    def load_into(self, model: nn.Module) -> list[str]:
        """Copies a network's slices into the network.

        Returns:
            The names of parameters that the supernet lacks, or has at a smaller shape. What is
            missing keeps the network's own values.
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
        """Reads a file that `save` has written, onto the CPU."""
        return cls(load_file(path))

    def to(self, device: torch.device) -> Supernet:
        """A copy of these weights on a device."""
        return Supernet({key: tensor.detach().to(device) for key, tensor in self.tensors.items()})

    @property
    def digest(self) -> str:
        """A hash of all values."""
        found = hashlib.sha256()
        for key in sorted(self.tensors):
            found.update(key.encode())
            found.update(self.tensors[key].detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()[:12]
