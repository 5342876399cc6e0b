"""Groups of channels, and the network in which some of them are left."""

from __future__ import annotations

import copy
from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from optnas.search_spaces.slim.graph import Port
from optnas.search_spaces.slim.layers import Part, Side, resize

Kept = NDArray[np.bool_]
"""Which units of a group are kept."""


class Attribute(NamedTuple):
    """A number that a module's own code keeps of a group: its heads, or their channels together.

    Attributes:
        module: The name of the module.
        name: The attribute.
        each: What a unit counts for.
    """

    module: str
    name: str
    each: int


@dataclass(frozen=True)
class Group:
    """Units of channels that are like one another: any number of them can be kept.

    Attributes:
        name: Of its first layer.
        layers: The layers that compute the channels.
        units: The number of units.
        channels: The numbers of the channels at each port, of shape `(units, channels of a unit)`.
        attributes: Numbers that follow the number of units.
    """

    name: str
    layers: tuple[str, ...]
    units: int
    channels: Mapping[Port, NDArray[np.intp]]
    attributes: tuple[Attribute, ...] = ()

    def joined(self, units: int, attributes: tuple[Attribute, ...] = ()) -> Group:
        """The group in larger units, of consecutive ones."""
        channels = {port: found.reshape(units, -1) for port, found in self.channels.items()}
        return replace(self, units=units, channels=channels, attributes=attributes)


class Cut(NamedTuple):
    """The entries that a group has along a dimension of a tensor.

    Attributes:
        tensor: A parameter or buffer of the network.
        dim: The dimension.
        entries: Their positions, of shape `(units, entries of a unit)`.
        reads: See `Part`.
        bias: Whether the tensor is a bias.
    """

    tensor: Tensor
    dim: int
    entries: NDArray[np.intp]
    reads: bool
    bias: bool


def cuts(model: nn.Module, ports: Mapping[Port, Side], group: Group) -> list[Cut]:
    """All entries of a group in the tensors of a network."""
    found = []
    for port, channels in group.channels.items():
        side = ports[port]
        for part in side.parts:
            shifted = [channels + side.size * number for number in range(part.stack)]
            found.append(
                Cut(
                    _tensor(model, port, part),
                    part.dim,
                    np.concatenate(shifted, axis=1),
                    part.reads,
                    part.name.endswith("bias"),
                )
            )
    return found


def _tensor(model: nn.Module, port: Port, part: Part) -> Tensor:
    *path, name = (f"{port.layer}.{part.name}" if port.layer else part.name).split(".")
    owner = model.get_submodule(".".join(path))
    return owner.get_parameter(name) if name in owner._parameters else owner.get_buffer(name)


class Slicer:
    """Makes networks with fewer channels from one network.

    All that doesn't depend on the choice is worked out once: a sampler asks for thousands.

    Args:
        model: The network.
        ports: Its channels.
        groups: Those of which some may be removed.
    """

    def __init__(
        self, model: nn.Module, ports: Mapping[Port, Side], groups: Sequence[Group]
    ) -> None:
        self._model = model
        self._groups = groups
        self._tensors: dict[int, Tensor] = {}
        # Several groups may have entries along one dimension, as behind a concatenation.
        self._entries: dict[int, dict[int, list[tuple[int, NDArray[np.intp]]]]] = {}
        self._layers: dict[str, dict[str, tuple[int, list[tuple[int, int]]]]] = defaultdict(dict)
        # Two thirds of a copy's time go into the empty dictionaries of hooks that each module has.
        self._empty = [
            value
            for module in model.modules()
            for value in vars(module).values()
            if type(value) in (dict, OrderedDict) and not value
        ]
        for number, group in enumerate(groups):
            for cut in cuts(model, ports, group):
                self._tensors[id(cut.tensor)] = cut.tensor
                dims = self._entries.setdefault(id(cut.tensor), {})
                dims.setdefault(cut.dim, []).append((number, cut.entries))
            for port, channels in group.channels.items():
                if port.layer:
                    side = self._layers[port.layer].setdefault(port.side, (ports[port].size, []))
                    side[1].append((number, channels.shape[1]))

    def build(
        self, kept: Sequence[Kept | None], replaced: Mapping[str, nn.Module] | None = None
    ) -> nn.Module:
        """A copy of the network with its weights; tied ones stay tied.

        Args:
            kept: Which units of each group stay; None if all do.
            replaced: What takes the place of modules, by their names.
        """
        removed = [0 if some is None else int(np.sum(~some)) for some in kept]
        memo: dict[int, object] = {id(value): type(value)() for value in self._empty}
        for name, other in (replaced or {}).items():
            memo[id(self._model.get_submodule(name))] = copy.deepcopy(other)
        for key, tensor in self._tensors.items():
            sliced = tensor.detach()
            for dim, parts in self._entries[key].items():
                stays = np.ones(tensor.shape[dim], dtype=bool)
                for number, entries in parts:
                    some = kept[number]
                    if some is not None:
                        stays[entries[~some]] = False
                if not stays.all():
                    sliced = sliced.index_select(dim, torch.from_numpy(np.flatnonzero(stays)))
            if sliced.shape != tensor.shape:
                is_parameter = isinstance(tensor, nn.Parameter)
                memo[id(tensor)] = (
                    nn.Parameter(sliced, tensor.requires_grad) if is_parameter else sliced
                )
        model = copy.deepcopy(self._model, memo)
        modules = dict(model.named_modules())
        for layer, sides in self._layers.items():
            if layer not in modules:
                continue  # it lay in a module that was replaced
            numbers = {
                side: size - sum(removed[number] * each for number, each in parts)
                for side, (size, parts) in sides.items()
            }
            resize(modules[layer], numbers)
        for group, less in zip(self._groups, removed, strict=True):
            for module, name, each in group.attributes if less else ():
                if module in modules:
                    setattr(modules[module], name, (group.units - less) * each)
        return model
