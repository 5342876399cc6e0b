"""The search space of NAS-Bench-201.

Source: Dong and Yang, NAS-Bench-201: extending the scope of reproducible neural architecture
search, ICLR 2020 (arXiv 2001.00326).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from optuna.trial import BaseTrial
from torch import Tensor, nn

from optnas.search_spaces.abilities import Encodable, Relaxable
from optnas.search_spaces.base import SearchSpace, random_example, without_defaults
from optnas.search_spaces.checks import check_image_shape
from optnas.search_spaces.choice import RelaxedTrial, choose
from optnas.search_spaces.encoding import encode
from optnas.search_spaces.isomorphism import Node, canonical_graph
from optnas.utils.checks import check_counts

POOLING = "avg_pool_3x3"
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", POOLING)
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""The two nodes that each edge of the cell connects, in the order of the benchmark's strings."""

MakeEdge = Callable[[tuple[int, int], int], nn.Module]
"""Makes the operation of an edge, given its two nodes and the number of channels."""


@dataclass(frozen=True)
class NASBench201Architecture:
    """The operation of each edge of the cell, in the order of `EDGES`."""

    operations: tuple[str, ...]

    def unique(self) -> NASBench201Architecture:
        """The one cell that stands for all that are the same network: see `NASBench201Space`."""
        return NASBench201Architecture(_unique_cells()[_graph(self.operations)])

    def __str__(self) -> str:
        nodes: list[list[str]] = [[], [], []]
        for (source, target), operation in zip(EDGES, self.operations, strict=True):
            nodes[target - 1].append(f"{operation}~{source}")
        return "+".join(f"|{'|'.join(inputs)}|" for inputs in nodes)


@dataclass(frozen=True)
class NASBench201Space(
    SearchSpace[NASBench201Architecture], Encodable[NASBench201Architecture], Relaxable
):
    """15,625 cells of four nodes and six edges, each edge with one of five operations.

    A node is the sum of the outputs of the edges that lead to it. The network has a 3×3
    convolution, three stages of cells with a residual block of stride 2 before the second and the
    third, normalisation, global average pooling and a linear layer. With the default settings it
    has 73,306 + 28,000·n1 + 243,040·n3 parameters, where the cell has n1 convolutions of 1×1 and n3
    of 3×3.

    Many cells are the same network, up to the names of nodes: `none` can be removed, and with it
    operations that read nothing (they could only add a constant) and those from which no path leads
    to the output; a `skip_connect` can be replaced by what it reads; and the pooling of a sum is
    the sum of the poolings. 5,044 networks are left. The paper counts 6,466, by strings of what
    nodes compute: there two convolutions are one where they read the same, poolings aren't taken
    apart, and a sum with `none` in it is another than one without. As in the
    benchmark, each cell is an architecture by default, and operations without effect have weights
    and MACs. With `unique=True`, one cell without such operations stands for all cells of a
    network, so that it is trained once.

    Parameters: `edge0-1`, `edge0-2`, `edge1-2`, `edge0-3`, `edge1-3` and `edge2-3`.

    Example:
        ```python
        import optnas

        space = optnas.NASBench201Space(outputs=10, cells=1, unique=True)
        ```

    Attributes:
        outputs: The number of classes.
        input_shape: `(channels, height, width)` of one image.
        channels: Channels of the first stage; each later stage has twice as many.
        cells: The number of cells in each of the three stages.
        unique: Whether `suggest` replaces a cell by the one that stands for its network. A look-up
            in the benchmark's table then finds the training of that one.

    Raises:
        ValueError: A size is below 1.
    """

    outputs: int = 10
    input_shape: tuple[int, int, int] = (3, 32, 32)
    channels: int = 16
    cells: int = 5
    unique: bool = False

    def __post_init__(self) -> None:
        check_counts(outputs=self.outputs, channels=self.channels, cells=self.cells)
        check_image_shape(self.input_shape)

    @property
    def example_inputs(self) -> Tensor:
        """A tensor of shape `(1, *input_shape)`."""
        return random_example(*self.input_shape)

    @property
    def fingerprint(self) -> str:
        """See `SearchSpace`; studies from before there was `unique` resume with its default."""
        return without_defaults(self, "unique")

    def suggest(self, trial: BaseTrial) -> NASBench201Architecture:
        """Draws the operation of each edge."""
        drawn = NASBench201Architecture(
            tuple(trial.suggest_categorical(f"edge{i}-{j}", OPERATIONS) for i, j in EDGES)
        )
        return drawn.unique() if self.unique else drawn

    def params_of(self, architecture: NASBench201Architecture) -> dict[str, Any]:
        """See `Encodable`; with `unique`, those of the cell that stands for the network."""
        found = architecture.unique() if self.unique else architecture
        return encode(self.suggest, found, _settings)

    def build(self, architecture: NASBench201Architecture) -> nn.Module:
        """Makes the whole network, as it was trained for the benchmark."""
        named = dict(zip(EDGES, architecture.operations, strict=True))
        return self._network(lambda edge, width: _operation(named[edge], width))

    def relaxed(self, trial: RelaxedTrial) -> nn.Module:
        """The network of the benchmark with all operations on each edge. See `Relaxable`."""

        def make(edge: tuple[int, int], width: int) -> nn.Module:
            every = {name: partial(_operation, name, width) for name in OPERATIONS}
            return choose(trial, f"edge{edge[0]}-{edge[1]}", every)

        return self._network(make)

    def _network(self, make: MakeEdge) -> nn.Module:
        width = self.channels
        layers: list[nn.Module] = [
            nn.Conv2d(self.input_shape[0], width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        ]
        for stage in range(3):
            if stage > 0:
                layers.append(_Reduction(width))
                width *= 2
            layers += [_Cell(make, width) for _ in range(self.cells)]
        return nn.Sequential(
            *layers,
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(width, self.outputs),
        )


@cache
def _unique_cells() -> dict[tuple[Node, ...], tuple[str, ...]]:
    """The first cell of each graph, in the order of `OPERATIONS`: nothing in it is without effect.

    What is without effect could be `none`, which is the first operation.
    """
    found: dict[tuple[Node, ...], tuple[str, ...]] = {}
    for operations in itertools.product(OPERATIONS, repeat=len(EDGES)):
        found.setdefault(_graph(operations), operations)
    return found


def _graph(operations: tuple[str, ...]) -> tuple[Node, ...]:
    """A cell's convolutions and poolings, with what each reads, the same for isomorphic cells.

    The number 0 is the cell's input. The last node stands for the cell's output. Pooling is linear
    and has no weights, so each part of a sum is pooled by itself, and once.
    """
    nodes: list[Node] = []
    sums: list[list[int]] = [[0], [], [], []]  # what each node of the cell adds up
    pooled: dict[int, int] = {}
    for (source, target), operation in zip(EDGES, operations, strict=True):
        if operation == "skip_connect":
            sums[target] += sums[source]
        elif operation == POOLING:
            for i in sums[source]:
                if i not in pooled:
                    nodes.append(((operation, i),))
                    pooled[i] = len(nodes)
                sums[target].append(pooled[i])
        elif operation != "none" and sums[source]:
            nodes.append(tuple((operation, i) for i in sums[source]))
            sums[target].append(len(nodes))
    nodes.append(tuple(("output", i) for i in sums[-1]))
    used = {len(nodes)}
    for number in range(len(nodes), 0, -1):
        if number in used:
            used.update(i for _, i in nodes[number - 1])
    numbers = {old: new for new, old in enumerate(sorted(used | {0}))}
    live = [nodes[old - 1] for old in numbers if old]
    return canonical_graph(
        [tuple((name, numbers[i]) for name, i in node) for node in live], inputs=1
    )


def _settings(architecture: NASBench201Architecture) -> dict[str, Any]:
    """The settings by parameter name."""
    named = zip(EDGES, architecture.operations, strict=True)
    return {f"edge{i}-{j}": operation for (i, j), operation in named}


class _Cell(nn.Module):
    def __init__(self, make: MakeEdge, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(make(edge, channels) for edge in EDGES)

    def forward(self, x: Tensor) -> Tensor:
        nodes: list[Tensor] = [x]
        for target in (1, 2, 3):
            inputs = [
                edge(nodes[i])
                for (i, j), edge in zip(EDGES, self.edges, strict=True)
                if j == target
            ]
            nodes.append(sum(inputs[1:], inputs[0]))
        return nodes[-1]


class _Reduction(nn.Module):
    """A residual block that halves the image and doubles the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.body = nn.Sequential(_conv(channels, wide, 3, stride=2), _conv(wide, wide, 3))
        self.shortcut = nn.Sequential(
            # Rounds odd sizes up, as the convolution of stride 2 does.
            nn.AvgPool2d(2, stride=2, ceil_mode=True),
            nn.Conv2d(channels, wide, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.shortcut(x) + self.body(x)
        return y


class _Zero(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 0.0


def _conv(channels: int, out: int, kernel_size: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, out, kernel_size, stride, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(out),
    )


def _operation(name: str, channels: int) -> nn.Module:
    match name:
        case "none":
            return _Zero()
        case "skip_connect":
            return nn.Identity()
        case "avg_pool_3x3":
            return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        case "nor_conv_1x1":
            return _conv(channels, channels, 1)
        case "nor_conv_3x3":
            return _conv(channels, channels, 3)
        case _:
            raise ValueError(f"operations must be among {', '.join(OPERATIONS)}, got {name!r}")
