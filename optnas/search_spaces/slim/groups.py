"""Finds the groups of a network whose widths can be searched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from torch import nn

from optnas.search_spaces.slim.check import Check
from optnas.search_spaces.slim.graph import Channels, Port
from optnas.search_spaces.slim.slicing import Attribute, Group


def groups_of(model: nn.Module, channels: Channels) -> list[Group]:
    """All groups that lie between layers, in the order of their first layers.

    Channels without a layer that computes them, or without one that reads them, are inputs and
    outputs of the network.
    """
    ports = channels.ports
    alike: dict[tuple[tuple[Port, int], ...], list[dict[Port, tuple[int, ...]]]] = defaultdict(list)
    for atom in channels.atoms():
        alike[tuple((port, len(found)) for port, found in atom.items())].append(atom)
    groups = []
    for kind, atoms in alike.items():
        layers = tuple(port.layer for port, _ in kind if port.side == "out")
        read = any(part.reads for port, _ in kind for part in ports[port].parts)
        if layers and read and len(atoms) > 1:
            positions = {port: np.array([atom[port] for atom in atoms]) for port, _ in kind}
            groups.append(Group(layers[0], layers, len(atoms), positions))
    order = {name: number for number, (name, _) in enumerate(model.named_modules())}
    groups.sort(key=lambda group: order[group.name])
    return list(_with_own_names(groups))


def _with_own_names(groups: Sequence[Group]) -> Iterator[Group]:
    """Numbers the groups of one layer, as of its two halves."""
    names = [group.name for group in groups]
    for number, group in enumerate(groups):
        if names.count(group.name) > 1:
            part = names[: number + 1].count(group.name)
            group = replace(group, name=f"{group.name}.part{part}".lstrip("."))
        yield group


def slimmable(
    model: nn.Module, groups: Sequence[Group], check: Check
) -> tuple[list[Group], dict[str, str]]:
    """The groups with which the network computes what it should when it has fewer channels.

    Returns:
        The groups, some in larger units (heads in place of channels); and why others must keep
        their channels, by name.
    """
    if not check.failure(groups):
        return list(groups), {}
    found, refused = _each(model, groups, check, once=True)
    if check.failure(found):  # what holds for one layer doesn't for all that look like it
        found, refused = _each(model, groups, check, once=False)
        together: list[Group] = []
        for group in found:
            if reason := check.failure([*together, group]):
                refused[group.name] = reason
            else:
                together.append(group)
        found = together
    return found, refused


def _each(
    model: nn.Module, groups: Sequence[Group], check: Check, *, once: bool
) -> tuple[list[Group], dict[str, str]]:
    """What `slimmable` returns for each group alone; if `once`, for one of each kind.

    A check runs the network twice, and the layers of a transformer are alike.
    """
    found: list[Group] = []
    refused: dict[str, str] = {}
    known: dict[object, tuple[int, str]] = {}
    for group in groups:
        ways = [group, *_in_heads(model, group)]
        shapes = tuple(channels.shape for channels in group.channels.values())
        parents = tuple(type(model.get_submodule(name)) for name in _parents(group))
        kind = parents, shapes, len(ways)
        if kind not in known or not once:
            reasons: list[str] = []
            for way in ways:
                reasons.append(check.failure([way]))
                if not reasons[-1]:
                    break
            known[kind] = (len(reasons) - 1, "") if not reasons[-1] else (0, reasons[0])
        number, reason = known[kind]
        if reason:
            refused[group.name] = reason
        else:
            found.append(ways[number])
    return found, refused


def _parents(group: Group) -> list[str]:
    """The modules around its layers."""
    return sorted({layer.rpartition(".")[0] for layer in group.layers})


def _in_heads(model: nn.Module, group: Group) -> Iterator[Group]:
    """The group in units of heads: their number is an attribute of the module around its layers."""
    numbers = {
        (parent, name): value
        for parent in _parents(group)
        for name, value in vars(model.get_submodule(parent)).items()
        if type(value) is int
    }
    heads = {v for v in numbers.values() if 1 < v < group.units and group.units % v == 0}
    for units in sorted(heads, reverse=True):
        own = [
            Attribute(parent, name, 1 if value == units else group.units // units)
            for (parent, name), value in numbers.items()
            if (value == units and "head" in name and not _is_size(name))
            or (value == group.units and _is_size(name))
        ]
        for attributes in [own, []] if own else [[]]:
            yield group.joined(units, tuple(attributes))


def _is_size(name: str) -> bool:
    return "size" in name or "dim" in name
