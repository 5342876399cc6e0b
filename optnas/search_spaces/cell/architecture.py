"""Networks of cells as records: the two cells, and how often each stands in the network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from optnas.search_spaces.cell.operations import NONE, OPERATIONS, SKIP
from optnas.search_spaces.checks import check_names
from optnas.search_spaces.isomorphism import Node, canonical_graph

INPUTS = 2
"""A cell's inputs: 0 is the output of the cell before the previous one, 1 of the previous one."""
EMPTY: tuple[Node, ...] = (((SKIP, 1),),)
"""What a cell without nodes is."""


@dataclass(frozen=True)
class Cell:
    """A cell: nodes that each add the outputs of one or two operations.

    Equal cells are the same network: `nodes` becomes one form of all isomorphic cells, so the order
    of the nodes and of a node's two operations doesn't matter. `none` is no operation: a node
    without operations is left out, and so is every operation that reads it. A cell without nodes is
    a single `skip_connect` of the previous cell's output. A cell that reads one of its inputs reads
    the previous cell's output; without that, whole cells of the network would be without effect.

    Two convolutions are two, also where they read the same node, because they have weights of their
    own. A `skip_connect` is an operation like any other: a node that copies another one gives the
    cell more output channels.

    Example:
        ```python
        from optnas.search_spaces import Cell

        one = Cell(((("conv_1x1", 0), ("conv_3x3", 1)), (("max_pool_3x3", 0), ("none", 0))))
        other = Cell(((("max_pool_3x3", 0),), (("conv_3x3", 1), ("conv_1x1", 0))))
        assert one == other
        print(one)  # conv_1x1~0+conv_3x3~1 max_pool_3x3~0
        ```

    Attributes:
        nodes: For each node, its operations, each with the number of what it reads: 0 is the output
            of the cell before the previous one, 1 that of the previous cell, 2 the first node, ….

    Raises:
        ValueError: An operation is unknown, a node has more than two of them, or it reads what
            isn't before it.
    """

    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        for number, node in enumerate(self.nodes, INPUTS):
            if len(node) > 2:
                raise ValueError(f"a node has at most two operations, but node {number} has {node}")
            for operation, source in node:
                check_names("operations", (operation,), OPERATIONS)
                if not 0 <= source < number:
                    raise ValueError(
                        f"node {number} must read one of 0 to {number - 1}, the cell's inputs and "
                        f"the nodes before it, got {source}"
                    )
        object.__setattr__(self, "nodes", canonical_graph(_chained(_live(self.nodes)), INPUTS))

    @classmethod
    def from_genotype(cls, operations: Sequence[tuple[str, int]]) -> Cell:
        """A cell as papers after DARTS write it: two operations for each node, in a flat list.

        Example:
            ```python
            from optnas.search_spaces import Cell

            cell = Cell.from_genotype([("sep_conv_3x3", 0), ("sep_conv_3x3", 1)])
            ```

        Args:
            operations: Each with what it reads, as in `nodes`.
        """
        pairs = zip(operations[::2], operations[1::2], strict=True)
        return cls(tuple(pairs))

    @property
    def reads(self) -> frozenset[int]:
        """The numbers of all that is read: inputs and nodes."""
        return frozenset(source for node in self.nodes for _, source in node)

    def outputs(self, *, unused: bool) -> tuple[int, ...]:
        """The numbers of the nodes that are the cell's output: all, or those that none reads."""
        every = range(INPUTS, INPUTS + len(self.nodes))
        return tuple(i for i in every if not (unused and i in self.reads))

    def __str__(self) -> str:
        return " ".join("+".join(f"{name}~{i}" for name, i in node) for node in self.nodes)


def _live(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """The nodes that have operations, renumbered."""
    numbers = {i: i for i in range(INPUTS)}
    live: list[Node] = []
    for i, node in enumerate(nodes, INPUTS):
        own = tuple((name, numbers[s]) for name, s in node if name != NONE and s in numbers)
        if own:
            numbers[i] = INPUTS + len(live)
            live.append(own)
    return tuple(live) or EMPTY


def _chained(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The nodes, input 1 in place of input 0 where that alone is read."""
    if any(source == 1 for node in nodes for _, source in node):
        return nodes
    return tuple(tuple((name, s or 1) for name, s in node) for node in nodes)


@dataclass(frozen=True)
class CellArchitecture:
    """A network of cells. Its string has width, cells of each stage, and the two cells.

    Attributes:
        width: Channels of each node in the first stage; each later stage has twice as many.
        cells: The number of normal cells in each stage. A reduction cell stands between two stages.
        normal: The cell that keeps the image's size; None if no stage has one.
        reduction: The cell that halves it; None if there is one stage.

    Raises:
        ValueError: A cell is missing, or has no place in the network.
    """

    width: int
    cells: tuple[int, ...]
    normal: Cell | None
    reduction: Cell | None

    def __post_init__(self) -> None:
        for name, cell, used in (
            ("normal", self.normal, any(self.cells)),
            ("reduction", self.reduction, len(self.cells) > 1),
        ):
            if (cell is not None) != used:
                needed = "needs a" if used else "has no place for a"
                raise ValueError(
                    f"a network with {self.cells} normal cells in its stages {needed} {name} cell, "
                    f"got {cell!r}"
                )

    def __str__(self) -> str:
        parts = [f"width{self.width} cells{'-'.join(map(str, self.cells))}"]
        named = (("normal", self.normal), ("reduction", self.reduction))
        parts += [f"{name} {cell}" for name, cell in named if cell is not None]
        return " | ".join(parts)
