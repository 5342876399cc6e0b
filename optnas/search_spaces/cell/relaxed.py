"""The relaxed network of a cell space: all operations, and all that each of them may read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from optnas.search_spaces.cell.architecture import INPUTS
from optnas.search_spaces.cell.network import CellNetwork
from optnas.search_spaces.cell.operations import (
    NONE,
    FactorizedReduction,
    operation,
    relu_conv_norm,
)
from optnas.search_spaces.choice import Reach, RelaxedTrial
from optnas.search_spaces.mixture import Mixture


def relaxed_network(
    trial: RelaxedTrial,
    operations: Sequence[str],
    nodes: Mapping[str, int],
    cells: Sequence[int],
    width: int,
    ends: tuple[int, int, int],
) -> CellNetwork:
    """A network of relaxed cells.

    Args:
        trial: Makes the mixtures.
        operations: The choices for an operation.
        nodes: The number of nodes of each kind of cell, `normal` and `reduction`.
        cells: See `CellNetwork`.
        width: See `CellNetwork`.
        ends: See `CellNetwork`.
    """

    def make(
        kind: str, before: tuple[int, int], width: int, *, was_reduction: bool
    ) -> tuple[RelaxedCell, int]:
        count = nodes[kind]
        cell = RelaxedCell(
            trial, kind, operations, count, before, width, was_reduction=was_reduction
        )
        return cell, count * width

    return CellNetwork(cells, width, ends, make)


class RelaxedCell(nn.Module):
    """A cell whose nodes each add two mixtures of operations, of mixtures of what may be read.

    Args:
        trial: Makes the mixtures.
        kind: `normal` or `reduction`; the names of the choices begin with it.
        operations: The choices for an operation.
        nodes: The number of nodes.
        channels: Those of the outputs of the cell before the previous one, and of the previous one.
        width: Channels of each node.
        was_reduction: Whether the previous cell halved the image.
    """

    def __init__(
        self,
        trial: RelaxedTrial,
        kind: str,
        operations: Sequence[str],
        nodes: int,
        channels: tuple[int, int],
        width: int,
        *,
        was_reduction: bool,
    ) -> None:
        super().__init__()
        self.inputs = nn.ModuleDict()
        for i in range(INPUTS):
            halved = was_reduction and i == 0
            make = FactorizedReduction if halved else relu_conv_norm
            self.inputs[f"input{i}_halved" if halved else f"input{i}"] = make(channels[i], width)
        self.nodes = nn.ModuleDict()
        for number in range(INPUTS, INPUTS + nodes):
            name = f"{kind}.node{number}"
            self.nodes[f"node{number}"] = nn.ModuleList(
                _Edge(trial, name, i, number, operations, width, strided=kind == "reduction")
                for i in (1, 2)
            )

    def forward(self, before_previous: Tensor, previous: Tensor) -> Tensor:
        """The outputs of the two cells before it, as images, to its own."""
        given = before_previous, previous
        found = [layer(x) for layer, x in zip(self.inputs.values(), given, strict=True)]
        for edges in self.nodes.values():
            assert isinstance(edges, nn.ModuleList)
            first, second = edges
            found.append(first(found) + second(found))
        return torch.cat(found[INPUTS:], dim=1)


class _Edge(nn.Module):
    """One operand of a node: a mixture of operations of a mixture of what it may read.

    In a reduction cell, operations that read the cell's inputs halve the image and others don't, so
    there are two mixtures of operations. Each is given the weighted mean of what it reads, because
    a normalisation would undo a factor, and is multiplied by the weight of all that.
    """

    def __init__(
        self,
        trial: RelaxedTrial,
        node: str,
        operand: int,
        number: int,
        operations: Sequence[str],
        width: int,
        *,
        strided: bool,
    ) -> None:
        super().__init__()
        self._source, self._count = f"{node}.input{operand}", number
        self._mixture: Mixture = trial.mixture
        groups = {1: list(range(number))}
        if strided:
            groups = {2: list(range(INPUTS)), 1: list(range(INPUTS, number))}
        self._groups = [sources for sources in groups.values() if sources]
        self.mixed = nn.ModuleList(
            trial.mixed(
                f"{node}.operation{operand}",
                {name: partial(_operation, name, width, stride) for name in operations},
                Reach(self._source, number, sources),
            )
            for stride, sources in groups.items()
            if sources
        )

    def forward(self, found: Sequence[Tensor]) -> Tensor:
        weights, values = self._mixture.weights(self._source, self._count)
        total: Tensor | None = None
        for mixed, sources in zip(self.mixed, self._groups, strict=True):
            some = any(values[i] != 0 for i in sources)
            if not some and not weights.requires_grad:
                continue
            shares = weights[sources]
            # Where nothing of it is sampled, all is what may be read.
            shares = shares / shares.sum() if some else torch.full_like(shares, 1 / len(sources))
            parts = [
                share.to(found[i].device) * found[i]
                for share, i in zip(shares, sources, strict=True)
                if not some or values[i] != 0 or weights.requires_grad
            ]
            given = mixed(sum(parts[1:], parts[0]))
            total = given if total is None else total + given
        assert total is not None
        return total


def _operation(name: str, width: int, stride: int) -> nn.Module:
    return _Nothing(stride) if name == NONE else operation(name, width, stride)


class _Nothing(nn.Module):
    """Zeros: what a node adds that has no second operation."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self._stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :: self._stride, :: self._stride] * 0.0
