"""Networks of cells: counts against a closed form, equal cells against brute force."""

import itertools
import math
import random
from collections import Counter, defaultdict

import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn

from optnas.errors import InputError
from optnas.export.agreement import agree
from optnas.export.examples import examples
from optnas.export.formats import FORMATS
from optnas.metrics.counting import count_pass
from optnas.search_spaces import Cell, CellArchitecture, CellSpace
from optnas.search_spaces.cell import OPERATIONS
from optnas.search_spaces.cell.operations import FactorizedReduction
from optnas.testing import SpaceContract
from optnas.testing.spaces import architectures
from optnas.utils.network import Network, runner

SMALL = CellSpace.small((1, 8, 8), 3)
MIXED = CellSpace(
    (2, 5, 7),
    3,
    widths=(2, 3, 6),
    stages=(1, 4),
    cells=(0, 2),
    nodes=(1, 3),
    operations=OPERATIONS,
    stem_multiplier=2,
)
UNUSED = CellSpace(
    (1, 4, 4),
    2,
    widths=(2,),
    stages=(1, 2),
    cells=(1, 1),
    nodes=(2, 4),
    operations=("none", "skip_connect", "conv_1x1"),
    output="unused",
)


class TestSmall(SpaceContract):
    space = SMALL
    samples = 6
    isomorphic = True


class TestMixed(SpaceContract):
    space = MIXED
    samples = 6
    isomorphic = True


class TestUnused(SpaceContract):
    space = UNUSED
    samples = 6
    isomorphic = True


class TestOnStrips(SpaceContract):
    space = CellSpace.small((1, 1, 9), 2, stages=(2, 2), cells=(0, 1), nodes=(1, 1))
    samples = 4
    isomorphic = True


def closed_form(space, architecture):
    """Multiply-accumulates and parameters, written out layer by layer."""
    macs = params = 0

    def conv(size, weights, *, norm=0):
        nonlocal macs, params
        macs += weights * size[0] * size[1]
        params += weights + 2 * norm

    def half(size, stride=2):
        return tuple(math.ceil(n / stride) for n in size)

    def operate(name, c, size, stride):
        out = half(size, stride)
        k = int(name[-1]) if name[-1].isdigit() else 0
        if name == "skip_connect" and stride == 2:
            conv(out, c * c, norm=c)
        elif name.startswith("sep"):
            for _ in range(2):
                conv(out, k * k * c + c * c, norm=c)
        elif name.startswith("dil"):
            conv(out, k * k * c + c * c, norm=c)
        elif name == "conv_7x1_1x7":
            conv((size[0], out[1]), 7 * c * c)
            conv(out, 7 * c * c, norm=c)
        elif name.startswith("conv"):
            conv(out, k * k * c * c, norm=c)

    channels, *size = space.input_shape
    width = architecture.width
    stem = width * space.stem_multiplier
    conv(size, 9 * channels * stem, norm=stem)
    before = [(stem, tuple(size))] * 2  # channels and size of the last two outputs
    for stage, count in enumerate(architecture.cells):
        kinds = [architecture.reduction] * (stage > 0) + [architecture.normal] * count
        for i, cell in enumerate(kinds):
            stride = 2 if stage and i == 0 else 1
            width *= stride
            size = before[1][1]  # both inputs are brought to it
            read = {source for node in cell.nodes for _, source in node}
            for source, (own, _) in enumerate(before):
                if source in read:
                    conv(size, own * width, norm=width)
            for node in cell.nodes:
                for name, source in node:
                    reduces = stride if source < 2 else 1
                    operate(name, width, half(size, stride // reduces), reduces)
            inner = {source for source in read if source >= 2}
            concatenated = len(cell.nodes) - (len(inner) if space.output == "unused" else 0)
            before = [before[1], (concatenated * width, half(size, stride))]
    last = before[1][0]
    return macs + last * space.outputs, params + (last + 1) * space.outputs


def counted(space, architecture):
    network = space.build(architecture).eval()
    return (
        count_pass(network, space.example_inputs).macs,
        sum(p.numel() for p in network.parameters()),
    )


@pytest.mark.parametrize(
    ("space", "count"), [(SMALL, 6), (MIXED, 18), (UNUSED, 6)], ids=["small", "mixed", "unused"]
)
def test_networks_have_the_counts_of_the_closed_form(space, count):
    for architecture, _ in architectures(space, count):
        assert counted(space, architecture) == closed_form(space, architecture), architecture


def test_darts_v2_has_the_published_number_of_parameters():
    """That of the authors' program for CIFAR-10 without the auxiliary head: 3.349342 million."""
    space, found = CellSpace.darts(width=36, cells=6), CellSpace.darts_v2()
    assert closed_form(space, found)[1] == 3_349_342
    assert sum(p.numel() for p in space.build(found).parameters()) == 3_349_342
    assert space.suggest(FixedTrial(space.params_of(found))) == found


def test_the_search_network_of_darts_has_8_cells():
    space = CellSpace.darts((3, 8, 8))
    (architecture, params), *_ = architectures(space, 1)
    network = space.build(architecture)
    assert list(network.cells) == [
        "stage1_cell1", "stage1_cell2", "stage2_reduction", "stage2_cell1", "stage2_cell2",
        "stage3_reduction", "stage3_cell1", "stage3_cell2",
    ]  # fmt: skip
    assert architecture.width == 16
    assert not {"width", "stages", "stage1.cells", "normal.nodes"} & set(params)
    assert {f"{cell}.node5.operation2" for cell in ("normal", "reduction")} <= set(params)


def brute_force_form(nodes):
    """The smallest listing of a cell's operations over all orders of its nodes."""
    edges = [
        (target, name, source)
        for target, node in enumerate(nodes, 2)
        for name, source in node
        if name != "none"
    ]
    while True:  # what reads a node without operations goes, and may leave another one without
        there = {0, 1} | {target for target, _, _ in edges}
        kept = [edge for edge in edges if edge[2] in there]
        if kept == edges:
            break
        edges = kept
    edges = edges or [(2, "skip_connect", 1)]
    if 1 not in {source for _, _, source in edges}:
        edges = [(target, name, source or 1) for target, name, source in edges]
    numbers = sorted({target for target, _, _ in edges})
    forms = []
    for order in itertools.permutations(range(2, 2 + len(numbers))):
        new = {0: 0, 1: 1, **dict(zip(numbers, order, strict=True))}
        forms.append(sorted((new[target], name, new[source]) for target, name, source in edges))
    return str(min(forms))


def every_cell(nodes, names):
    """All cells of this many nodes with these operations."""
    choices = [
        [("none", 0), *((name, source) for name in names for source in range(number))]
        for number in range(2, 2 + nodes)
    ]
    return itertools.product(*(itertools.product(own, own) for own in choices))


def random_cells(rng, count, nodes=4, names=("none", "skip_connect", "conv_1x1")):
    for _ in range(count):
        yield tuple(
            tuple((rng.choice(names), rng.randrange(number)) for _ in range(2))
            for number in range(2, 2 + nodes)
        )


def check_strings(cells):
    texts, forms = defaultdict(set), defaultdict(set)
    for nodes in cells:
        text, form = str(Cell(nodes)), brute_force_form(nodes)
        texts[text].add(form)
        forms[form].add(text)
    assert all(len(found) == 1 for found in (*texts.values(), *forms.values()))
    return len(texts)


def test_cells_have_one_string_exactly_if_they_are_isomorphic():
    """All 1,225 cells of two nodes with two operations, and `none`; and many of four nodes."""
    assert check_strings(every_cell(2, ("skip_connect", "conv_1x1"))) < 1225 / 4
    check_strings(random_cells(random.Random(0), 250))
    check_strings(random_cells(random.Random(1), 250, nodes=3, names=("none", "conv_1x1")))


def test_a_cell_is_the_same_after_its_nodes_are_renumbered():
    rng = random.Random(0)
    for nodes in random_cells(rng, 60, names=("max_pool_3x3", "conv_1x1")):
        left, new, renumbered = set(range(2, 6)), {0: 0, 1: 1}, []
        while left:
            free = [i for i in left if all(source in new for _, source in nodes[i - 2])]
            chosen = rng.choice(free)
            edges = [(name, new[source]) for name, source in nodes[chosen - 2]]
            renumbered.append(tuple(rng.sample(edges, 2)))
            new[chosen] = len(renumbered) + 1
            left.remove(chosen)
        assert Cell(tuple(renumbered)) == Cell(nodes)


def test_many_equal_nodes_take_no_time():
    """8! = 40,320 orders, of which all are the same."""
    pair = (("conv_1x1", 0), ("conv_1x1", 1))
    assert Cell((pair,) * 8).nodes == (pair,) * 8
    chains = [pair] * 4 + [(("conv_1x1", i), ("conv_3x3", i)) for i in (4, 2, 5, 3)]
    assert Cell(tuple(chains)) == Cell((*chains[:4], *reversed(chains[4:])))


@pytest.mark.parametrize("space", [SMALL, MIXED, UNUSED], ids=["small", "mixed", "unused"])
def test_every_weight_has_an_effect(space):
    for architecture, _ in architectures(space, 6, seed=3):
        network = space.build(architecture).train()
        network(torch.randn(4, *space.input_shape)).square().sum().backward()
        assert all(p.grad is not None for p in network.parameters()), architecture


def test_a_cell_adds_what_its_operations_give_and_concatenates_its_nodes():
    """Against the sums written out, for two cells of skips and poolings."""
    cell = Cell(
        (
            (("skip_connect", 0), ("max_pool_3x3", 1)),
            (("avg_pool_3x3", 2), ("skip_connect", 2)),
            (("skip_connect", 1), ("skip_connect", 1)),
        )
    )
    for output, chosen in (("all", (0, 1, 2)), ("unused", (1, 2))):
        space = CellSpace((1, 6, 6), 2, (4,), (1, 1), (1, 1), (3, 3), output=output)
        layer = space.build(CellArchitecture(4, (1,), cell, None)).cells["stage1_cell1"]
        first, second = torch.randn(2, 2, 12, 6, 6)
        a, b = (layer.inputs[f"input{i}"](x) for i, x in enumerate((first, second)))
        one = a + nn.functional.max_pool2d(b, 3, 1, 1)
        pooled = nn.functional.avg_pool2d(one, 3, 1, 1, count_include_pad=False)
        by_text = {"one": one, "two": pooled + one, "three": 2 * b}
        order = {  # the numbers of the nodes in the one form of the cell
            str(node): name
            for node, name in (
                ((("skip_connect", 0), ("max_pool_3x3", 1)), "one"),
                ((("skip_connect", 1), ("skip_connect", 1)), "three"),
            )
        }
        names = [order.get(str(node), "two") for node in cell.nodes]
        wanted = [("one", "two", "three")[i] for i in chosen]
        expected = torch.cat([by_text[name] for name in names if name in wanted], 1)
        torch.testing.assert_close(layer(first, second), expected)


def test_a_reduction_reads_every_pixel_and_rounds_odd_sizes_up():
    layer = FactorizedReduction(1, 2).eval()
    for conv in (layer.conv, layer.shifted):
        nn.init.ones_(conv.weight)
    with torch.no_grad():
        layer.norm.running_var.fill_(1 - layer.norm.eps)
        image = torch.arange(1.0, 50.0).reshape(1, 1, 7, 7)
        found = layer(image)
        assert found.shape == (1, 2, 4, 4)
        torch.testing.assert_close(found[0, 0], image[0, 0, ::2, ::2])
        torch.testing.assert_close(found[0, 1, :3, :3], image[0, 0, 1::2, 1::2])
        assert not found[0, 1, 3].any()
        torch.testing.assert_close(layer(image[..., :6, :6])[0, 1], image[0, 0, 1:6:2, 1:6:2])


def test_two_convolutions_of_the_same_input_are_two():
    twice, once = (Cell(((("conv_1x1", 1),) * n,)) for n in (2, 1))
    assert twice != once
    space = CellSpace((1, 4, 4), 2, (2,), (1, 1), (1, 1), operations=("conv_1x1",))
    names = Counter(
        name.rpartition(".")[0].rpartition(".")[0]
        for name, _ in space.build(CellArchitecture(2, (1,), twice, None)).named_parameters()
    )
    node = "cells.stage1_cell1.nodes.node2"
    assert names[f"{node}.conv_1x1_of_1"] == names[f"{node}.conv_1x1_of_1_again"] == 3


def test_parameters_exist_only_where_they_have_an_effect():
    space = CellSpace((1, 4, 4), 2, (2, 4), (1, 2), (0, 1), (2, 2))
    for architecture, params in architectures(space, 40):
        assert any("normal" in name for name in params) == any(architecture.cells)
        assert any("reduction" in name for name in params) == (len(architecture.cells) == 2)
        for name, value in params.items():
            if ".operation" in name:
                assert (name.replace("operation", "input") in params) == (value != "none")


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (
            CellArchitecture(5, (1, 1), Cell(()), Cell(())),
            "width is 5 in the architecture, and",
        ),
        (CellArchitecture(4, (3, 1), Cell(()), Cell(())), "stage1.cells is 3 .* from 0 to 2"),
        (
            CellArchitecture(4, (1, 1), Cell(((("dil_conv_3x3", 1),),)), Cell(())),
            "normal.node2.operation1 is dil_conv_3x3 in the architecture, and one of skip",
        ),
        (
            CellArchitecture(4, (1, 1), Cell(((("conv_1x1", 1),),)), Cell(())),
            "operation2 is none in the architecture",
        ),
    ],
)
def test_params_of_names_the_setting_that_the_space_lacks(architecture, message):
    with pytest.raises(InputError, match=message):
        SMALL.params_of(architecture)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CellSpace((1, 4, 4), 2, stages=(1, 4)), "stages must be at most 3"),
        (lambda: CellSpace((1, 4, 4), 2, (1,), (1, 1)), "widths must be whole .* at least 2"),
        (lambda: CellSpace((1, 8, 8), 2, nodes=(1, 9)), "nodes must be at most 8"),
        (lambda: CellSpace((1, 8, 8), 2, cells=(2, 1)), "cells must be"),
        (lambda: CellSpace((1, 8, 8), 2, operations=("conv_9x9",)), "operations must be among"),
        (lambda: CellSpace((1, 8, 8), 2, operations=("none", "conv_1x1")), "need skip_connect"),
        (lambda: CellSpace((1, 8, 8), 2, output="last"), "output must be among all, unused"),
        (lambda: CellSpace((1, 8, 8), 0), "outputs must be"),
        (lambda: Cell(((("conv_1x1", 2),),)), "node 2 must read one of 0 to 1"),
        (lambda: Cell(((("conv_1x1", 0),) * 3,)), "at most two operations"),
        (lambda: Cell(((("conv", 0),),)), "operations must be among none"),
        (lambda: CellArchitecture(4, (1,), None, None), "needs a normal cell"),
        (lambda: CellArchitecture(4, (1,), Cell(()), Cell(())), "no place for a reduction cell"),
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_network_becomes_an_onnx_file_for_any_batch(tmp_path):
    space = CellSpace((1, 5, 4), 2, widths=(2,), stages=(2, 2), cells=(0, 0), nodes=(1, 1))
    cell = Cell(((("skip_connect", 0), ("max_pool_3x3", 1)),))
    model = space.build(CellArchitecture(2, (0, 0), None, cell)).eval()
    FORMATS["onnx"].write(Network(model, space.example_inputs), tmp_path / "cells.onnx", {})
    batch, words = examples(None, space.example_inputs, 7)
    run = FORMATS["onnx"].load(tmp_path / "cells.onnx", lambda: model)
    agree(runner(model), run, batch, words, (1, 2, 7))
