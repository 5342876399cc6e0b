"""The network of a cell architecture, its layers named by what they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from optnas.search_spaces.cell.architecture import INPUTS, Cell, CellArchitecture
from optnas.search_spaces.cell.operations import FactorizedReduction, operation, relu_conv_norm
from optnas.search_spaces.conv_norm import conv_norm


class MakeCell(Protocol):
    """Makes a cell, and says how many channels its output has."""

    def __call__(
        self, kind: str, before: tuple[int, int], width: int, *, was_reduction: bool
    ) -> tuple[nn.Module, int]:
        """Makes one.

        Args:
            kind: `normal` or `reduction`.
            before: Channels of the outputs of the cell before the previous one, and of the
                previous one.
            width: Channels of each node.
            was_reduction: Whether the previous cell halved the image.
        """


class CellNetwork(nn.Module):
    """A 3×3 convolution, stages of cells, global average pooling and a linear classifier.

    Args:
        cells: The number of normal cells in each stage; a reduction cell begins each but the first.
        width: Channels of each node in the first stage; each further stage doubles it.
        ends: Channels of the images, the number of classes, and output channels of the first
            convolution, as a multiple of the width.
        make: Makes the cells.
    """

    def __init__(
        self, cells: Sequence[int], width: int, ends: tuple[int, int, int], make: MakeCell
    ) -> None:
        super().__init__()
        channels, outputs, stem_multiplier = ends
        out = stem_multiplier * width
        self.stem = conv_norm(channels, out, 3)
        before, was_reduction = (out, out), False
        self.cells = nn.ModuleDict()
        for stage, number in enumerate(cells, 1):
            named = {f"stage{stage}_cell{i}": "normal" for i in range(1, number + 1)}
            if stage > 1:
                named = {f"stage{stage}_reduction": "reduction", **named}
                width *= 2
            for name, kind in named.items():
                cell, given = make(kind, before, width, was_reduction=was_reduction)
                self.cells[name] = cell
                before, was_reduction = (before[1], given), kind == "reduction"
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(before[1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Images of shape `(batch, channels, height, width)` to `(batch, outputs)`."""
        before_previous = previous = self.stem(x)
        for cell in self.cells.values():
            before_previous, previous = previous, cell(before_previous, previous)
        y: Tensor = self.classifier(self.flatten(self.pool(previous)))
        return y


def network_of(
    architecture: CellArchitecture, ends: tuple[int, int, int], *, unused: bool
) -> CellNetwork:
    """The network of an architecture.

    Args:
        architecture: Its settings.
        ends: See `CellNetwork`.
        unused: Whether a cell's output has only the nodes that none of its nodes reads.
    """

    def make(
        kind: str, before: tuple[int, int], width: int, *, was_reduction: bool
    ) -> tuple[CellLayer, int]:
        is_normal = kind == "normal"
        cell = architecture.normal if is_normal else architecture.reduction
        assert cell is not None  # CellArchitecture sees to it
        stride = 1 if is_normal else 2
        layer = CellLayer(cell, before, width, stride, was_reduction=was_reduction, unused=unused)
        return layer, layer.channels

    return CellNetwork(architecture.cells, architecture.width, ends, make)


class CellLayer(nn.Module):
    """A cell: a 1×1 convolution of each input that is read, its nodes, and their concatenation.

    Args:
        cell: Its settings.
        channels: Those of the outputs of the cell before the previous one, and of the previous one.
        width: Channels of each node.
        stride: 2 in a reduction cell: that of the operations that read the cell's inputs.
        was_reduction: Whether the previous cell halved the image, so that this one halves the
            output of the cell before it.
        unused: See `network_of`.
    """

    def __init__(
        self,
        cell: Cell,
        channels: tuple[int, int],
        width: int,
        stride: int,
        *,
        was_reduction: bool,
        unused: bool,
    ) -> None:
        super().__init__()
        self._outputs = cell.outputs(unused=unused)
        self.channels = width * len(self._outputs)
        self._sources: dict[str, list[int]] = {}
        self.inputs = nn.ModuleDict()
        for i in range(INPUTS):
            if i not in cell.reads:
                continue  # its weights would be without effect
            halved = was_reduction and i == 0
            make = FactorizedReduction if halved else relu_conv_norm
            name = f"input{i}_halved" if halved else f"input{i}"
            self.inputs[name], self._sources[name] = make(channels[i], width), [i]
        self.nodes = nn.ModuleDict()
        for number, node in enumerate(cell.nodes, INPUTS):
            layers = nn.ModuleDict()
            for name, source in node:
                key = f"{name}_of_{source}"
                own_stride = stride if source < INPUTS else 1
                layers[f"{key}_again" if key in layers else key] = operation(
                    name, width, own_stride
                )
            self.nodes[f"node{number}"] = layers
            self._sources[f"node{number}"] = [source for _, source in node]

    def forward(self, before_previous: Tensor, previous: Tensor) -> Tensor:
        """The outputs of the two cells before it, as images, to its own."""
        given, found = (before_previous, previous), dict[int, Tensor]()
        for name, layer in self.inputs.items():
            (i,) = self._sources[name]
            found[i] = layer(given[i])
        for number, (name, layers) in enumerate(self.nodes.items(), INPUTS):
            assert isinstance(layers, nn.ModuleDict)
            parts = zip(layers.values(), self._sources[name], strict=True)
            first, *others = (layer(found[source]) for layer, source in parts)
            found[number] = sum(others, first)
        return torch.cat([found[i] for i in self._outputs], dim=1)
