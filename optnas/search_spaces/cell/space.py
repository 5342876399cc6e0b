"""Networks of cells, as in NASNet and DARTS: the cells, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optuna.trial import BaseTrial
from torch import Tensor, nn

from optnas.search_spaces.abilities import Encodable, Relaxable
from optnas.search_spaces.base import SearchSpace, random_example
from optnas.search_spaces.cell import published
from optnas.search_spaces.cell.architecture import INPUTS, Cell, CellArchitecture
from optnas.search_spaces.cell.network import network_of
from optnas.search_spaces.cell.operations import DARTS_OPERATIONS, NONE, OPERATIONS, SKIP
from optnas.search_spaces.cell.relaxed import relaxed_network
from optnas.search_spaces.checks import (
    check_image_shape,
    check_names,
    check_range,
    check_sizes,
)
from optnas.search_spaces.choice import RelaxedTrial
from optnas.search_spaces.encoding import encode
from optnas.search_spaces.isomorphism import Node
from optnas.search_spaces.staged import Shape, choose, choose_depth, strided
from optnas.utils.checks import check_counts

CIFAR: Shape = (3, 32, 32)
MOST_NODES = 8
"""More would make the search for equal cells slow."""


@dataclass(frozen=True)
class CellSpace(SearchSpace[CellArchitecture], Encodable[CellArchitecture], Relaxable):
    """Networks of two cells, as in NASNet and DARTS: what they compute, and how many there are.

    A network is a 3×3 convolution, stages of normal cells with a reduction cell before each stage
    but the first, global average pooling and a linear classifier. A reduction cell halves the image
    and doubles the channels. All normal cells are equal, and so are all reduction cells. A cell
    reads the outputs of the two cells before it, each through a 1×1 convolution. Its nodes each add
    the outputs of two operations, each of which reads one of the cell's inputs or an earlier node;
    a node may read the same twice, other than in DARTS. The cell's output is the concatenation of
    all nodes, as in DARTS, or of those that no node reads, as in NASNet.

    There is no auxiliary head and no drop-path. Only weights that have an effect are made: a cell
    has no convolution for an input that it doesn't read.

    Many settings of the parameters give the same network. It has one string, and so it is trained
    once: see `Cell`. Give shared weights (`SharedWeightsEvaluator`) one width: where nodes are
    concatenated, the width decides which channel is whose.

    Class methods make spaces: `small` for small images, and `darts`, the space of its paper.
    `darts_v2` gives an architecture, which `build` of any space makes.

    Sources: Zoph et al., Learning transferable architectures for scalable image recognition, CVPR
    2018 (NASNet, arXiv 1707.07012); Liu, Simonyan and Yang, DARTS: differentiable architecture
    search, ICLR 2019 (arXiv 1806.09055).

    Parameters: `width`, `stages`, `stage1.cells`, …; `normal.nodes`, `normal.node2.operation1`,
    `normal.node2.input1`, `normal.node2.operation2`, `normal.node2.input2`, `normal.node3…`; and
    `reduction.…`. As in DARTS, 0 and 1 are the cell's inputs (the outputs of the cell before the
    previous one, and of the previous one), and nodes have the numbers from 2. `none` reads nothing,
    so it has no input. A setting with one value is no parameter.

    Example:
        ```python
        import optnas

        space = optnas.CellSpace.small((1, 28, 28), 10)
        darts = optnas.CellSpace.darts((3, 32, 32), 10)
        params = darts.params_of(optnas.CellSpace.darts_v2(width=16, cells=2))
        ```

    Attributes:
        input_shape: `(channels, height, width)` of one image.
        outputs: The number of classes.
        widths: The choices for the channels of each node in the first stage; each later stage has
            twice as many.
        stages: The least and greatest number of stages.
        cells: The least and greatest number of normal cells in each stage.
        nodes: The least and greatest number of nodes in a cell, at most 8.
        operations: The choices for an operation, among `none`, `skip_connect`, `max_pool_3x3`,
            `avg_pool_3x3`, `sep_conv_3x3`, `sep_conv_5x5`, `sep_conv_7x7`, `dil_conv_3x3`,
            `dil_conv_5x5`, `conv_1x1`, `conv_3x3` and `conv_7x1_1x7`.
        output: Which nodes a cell concatenates: `all`, or those that are `unused` in the cell.
        stem_multiplier: Output channels of the first convolution, as a multiple of the width.

    Raises:
        ValueError: A setting is out of range, the image is too small for that number of stages, or
            there is `none` without `skip_connect`, which a cell without nodes is.
    """

    input_shape: Shape
    outputs: int
    widths: tuple[int, ...] = (16,)
    stages: tuple[int, int] = (3, 3)
    cells: tuple[int, int] = (2, 2)
    nodes: tuple[int, int] = (4, 4)
    operations: tuple[str, ...] = DARTS_OPERATIONS
    output: str = "all"
    stem_multiplier: int = 3

    def __post_init__(self) -> None:
        check_image_shape(self.input_shape)
        check_counts(outputs=self.outputs, stem_multiplier=self.stem_multiplier)
        check_sizes("widths", self.widths, 2)  # half of them are shifted in a reduction
        check_range("stages", self.stages, 1)
        check_range("cells", self.cells, 0)
        check_range("nodes", self.nodes, 1)
        check_names("operations", self.operations, OPERATIONS)
        check_names("output", (self.output,), ("all", "unused"))
        if self.nodes[1] > MOST_NODES:
            raise ValueError(f"nodes must be at most {MOST_NODES}, got {self.nodes}")
        if NONE in self.operations and SKIP not in self.operations:
            raise ValueError(
                f"operations with {NONE} need {SKIP}, which a cell without nodes is, got "
                f"{self.operations}"
            )
        size, most = self.input_shape[1:], 1
        while max(size) > 1:
            size, most = strided(size, 2), most + 1
        if self.stages[1] > most:
            raise ValueError(
                f"stages must be at most {most} for images of shape {self.input_shape}, each but "
                f"the first of which halves them, got {self.stages}"
            )

    @property
    def example_inputs(self) -> Tensor:
        """A tensor of shape `(1, channels, height, width)`."""
        return random_example(*self.input_shape)

    def suggest(self, trial: BaseTrial) -> CellArchitecture:
        """Draws the width and the stages, then the cells that they need."""
        width, cells = self._suggest_sizes(trial)
        return CellArchitecture(
            width,
            cells,
            self._suggest_cell(trial, "normal") if any(cells) else None,
            self._suggest_cell(trial, "reduction") if len(cells) > 1 else None,
        )

    def _suggest_sizes(self, trial: BaseTrial) -> tuple[int, tuple[int, ...]]:
        """The width, and the number of normal cells in each stage."""
        width = choose(trial, "width", self.widths)
        stages = choose_depth(trial, "stages", *self.stages)
        return width, tuple(
            choose_depth(trial, f"stage{i}.cells", *self.cells) for i in range(1, stages + 1)
        )

    def relaxed(self, trial: RelaxedTrial) -> nn.Module:
        """A network whose operations, and what each of them reads, are relaxed. See `Relaxable`.

        Its cells concatenate all nodes, also where `output` is `unused`.
        """
        width, cells = self._suggest_sizes(trial)
        count = {
            name: choose_depth(trial, f"{name}.nodes", *self.nodes)
            for name, used in (("normal", any(cells)), ("reduction", len(cells) > 1))
            if used
        }
        return relaxed_network(trial, self.operations, count, cells, width, self._ends)

    def _suggest_cell(self, trial: BaseTrial, name: str) -> Cell:
        count = choose_depth(trial, f"{name}.nodes", *self.nodes)
        nodes: list[Node] = []
        for number in range(INPUTS, INPUTS + count):
            node = []
            for i in (1, 2):
                operation = choose(trial, f"{name}.node{number}.operation{i}", self.operations)
                if operation != NONE:
                    readable = tuple(range(number))
                    source = trial.suggest_categorical(f"{name}.node{number}.input{i}", readable)
                    node.append((operation, source))
            nodes.append(tuple(node))
        return Cell(tuple(nodes))

    def build(self, architecture: CellArchitecture) -> nn.Module:
        """Makes the network.

        Its layers are called `stem`, `cells.stage1_cell1.inputs.input0`, …,
        `cells.stage1_cell1.nodes.node2.sep_conv_3x3_of_0`, …, `cells.stage2_reduction`, …, `pool`,
        `flatten` and `classifier`.
        """
        return network_of(architecture, self._ends, unused=self.output == "unused")

    @property
    def _ends(self) -> tuple[int, int, int]:
        return self.input_shape[0], self.outputs, self.stem_multiplier

    def params_of(self, architecture: CellArchitecture) -> dict[str, Any]:
        """See `Encodable`."""
        return encode(self.suggest, architecture, self._settings)

    def _settings(self, architecture: CellArchitecture) -> dict[str, Any]:
        """An architecture's settings by parameter name; fixed ones too."""
        settings: dict[str, Any] = {"width": architecture.width, "stages": len(architecture.cells)}
        for i, count in enumerate(architecture.cells, 1):
            settings[f"stage{i}.cells"] = count
        for name in ("normal", "reduction"):
            cell: Cell | None = getattr(architecture, name)
            if cell is not None:
                settings |= self._cell_settings(name, cell)
        return settings

    def _cell_settings(self, name: str, cell: Cell) -> dict[str, Any]:
        """A cell's settings; what it lacks to the least number of nodes is `none`."""
        count = max(len(cell.nodes), self.nodes[0])
        settings: dict[str, Any] = {f"{name}.nodes": count}
        nodes = cell.nodes + ((),) * (count - len(cell.nodes))
        for number, node in enumerate(nodes, INPUTS):
            edges = (*node, (NONE, 0), (NONE, 0))[:2]
            for i, (operation, source) in enumerate(edges, 1):
                settings[f"{name}.node{number}.operation{i}"] = operation
                if operation != NONE:
                    settings[f"{name}.node{number}.input{i}"] = source
        return settings

    @classmethod
    def small(
        cls,
        input_shape: Shape,
        outputs: int,
        *,
        stages: tuple[int, int] = (2, 3),
        cells: tuple[int, int] = (0, 2),
        nodes: tuple[int, int] = (1, 3),
    ) -> CellSpace:
        """Narrow networks of few cells for images of 8 to 32 pixels.

        Args:
            input_shape: See the class.
            outputs: See the class.
            stages: See the class.
            cells: See the class.
            nodes: See the class.
        """
        return cls(
            input_shape,
            outputs,
            widths=(4, 8, 16),
            stages=stages,
            cells=cells,
            nodes=nodes,
            operations=(
                SKIP,
                "max_pool_3x3",
                "avg_pool_3x3",
                "sep_conv_3x3",
                "sep_conv_5x5",
                "conv_1x1",
                "conv_3x3",
            ),
            stem_multiplier=1,
        )

    @classmethod
    def darts(
        cls, input_shape: Shape = CIFAR, outputs: int = 10, *, width: int = 16, cells: int = 2
    ) -> CellSpace:
        """The cells of DARTS in its network of three stages: four nodes and eight operations.

        DARTS searches with 16 channels and 8 cells, the default, and trains what it found with 36
        channels and 20 cells: `width=36, cells=6`. A node of DARTS reads two different inputs, and
        its last step leaves `none` out.

        Args:
            input_shape: See the class.
            outputs: See the class.
            width: Channels of each node in the first stage.
            cells: Normal cells in each of the three stages, between which stand two reductions.
        """
        return cls(input_shape, outputs, widths=(width,), cells=(cells, cells))

    @staticmethod
    def darts_v2(*, width: int = 36, cells: int = 6) -> CellArchitecture:
        """The network that DARTS found by its second-order search, an architecture for `build`.

        With the default width and cells, three-channel images and ten classes it has the published
        3,349,342 parameters.

        Args:
            width: Channels of each node in the first stage.
            cells: Normal cells in each of the three stages.
        """
        return published.darts_v2(width, cells)
