"""Cells of NAS-Bench-201 that are the same network."""

import itertools
from collections import Counter, defaultdict
from random import Random

import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn

import optnas
from optnas.metrics.counting import count_macs
from optnas.search_spaces import NASBench201Space
from optnas.search_spaces.nasbench201 import EDGES, OPERATIONS, NASBench201Architecture
from optnas.testing import SpaceContract

SPACE = NASBench201Space(2, (1, 6, 6), channels=2, cells=1)
UNIQUE = NASBench201Space(2, (1, 6, 6), channels=2, cells=1, unique=True)
EVERY = list(itertools.product(OPERATIONS, repeat=len(EDGES)))
CONVOLUTIONS = ("nor_conv_1x1", "nor_conv_3x3")


class TestUnique(SpaceContract):
    space = UNIQUE
    samples = 4
    isomorphic = True


def drawn(space, operations):
    params = {f"edge{i}-{j}": name for (i, j), name in zip(EDGES, operations, strict=True)}
    return space.suggest(FixedTrial(params))


def expression(operations, *, paper):
    """What the cell computes, as a text; two convolutions that read the same have one text.

    Of the paper: a sum names the zeros in it, and is pooled as a whole.
    """
    nodes = {0: ["x"], 1: [], 2: [], 3: []}
    for (source, target), name in zip(EDGES, operations, strict=True):
        text = "+".join(sorted(nodes[source]))
        zero = name == "none" or text == ("#" if paper else "")
        if zero:
            nodes[target] += ["#"] * paper
        elif name == "skip_connect":
            nodes[target] += [text] if paper else nodes[source]
        elif name == "avg_pool_3x3" and not paper:
            nodes[target] += [f"({part})@{name}" for part in nodes[source]]
        else:
            nodes[target].append(f"({text})@{name}")
    return "+".join(sorted(nodes[3]))


def test_the_15_625_cells_are_5_044_networks():
    """A count with networkx's test of isomorphism gives the same. Two further counts enclose it.

    By what a node computes there are fewer, because two convolutions that read the same count as
    one; the paper's 6,466 are more, because its texts name the zeros.
    """
    unique = {operations: drawn(UNIQUE, operations).operations for operations in EVERY}
    assert len(set(unique.values())) == 5_044
    assert all(unique[operations] == operations for operations in unique.values())
    assert len({expression(operations, paper=True) for operations in EVERY}) == 6_466
    by_expression = {operations: expression(operations, paper=False) for operations in EVERY}
    assert len(set(by_expression.values())) == 4_660
    # Cells of one network compute the same, with as many live convolutions.
    for operations, found in unique.items():
        assert by_expression[operations] == by_expression[found]


def live(operations):
    """The edges on paths from the cell's input to its output, as numbers."""
    from_input, to_output = {0}, {3}
    for (source, target), name in zip(EDGES, operations, strict=True):
        if name != "none" and source in from_input:
            from_input.add(target)
    for (source, target), name in reversed(list(zip(EDGES, operations, strict=True))):
        if name != "none" and target in to_output:
            to_output.add(source)
    return [
        i
        for i, ((source, target), name) in enumerate(zip(EDGES, operations, strict=True))
        if name != "none" and source in from_input and target in to_output
    ]


def cell_of(operations):
    """The cell alone; it is the third part of the network."""
    return SPACE.build(NASBench201Architecture(operations))[2].double().eval()


def computes_the_same(one, other):
    """Whether some assignment of one cell's convolutions to the other's gives equal outputs."""
    x = torch.randn(1, 2, 6, 6, dtype=torch.float64)
    (first, own), (second, theirs) = ((cell_of(cell), live(cell)) for cell in (one, other))
    for cell, edges in ((first, own), (second, theirs)):
        for i in edges:  # with biases, so that a convolution of 2·x isn't twice that of x
            for parameter in cell.edges[i].parameters():
                nn.init.normal_(parameter)
    wanted = first(x)
    for kind in CONVOLUTIONS:
        if sum(one[i] == kind for i in own) != sum(other[i] == kind for i in theirs):
            return False
    from_ = [i for i in own if one[i] in CONVOLUTIONS]
    for order in itertools.permutations([i for i in theirs if other[i] in CONVOLUTIONS]):
        if any(one[i] != other[j] for i, j in zip(from_, order, strict=True)):
            continue
        for i, j in zip(from_, order, strict=True):
            second.edges[j].load_state_dict(first.edges[i].state_dict())
        if torch.allclose(second(x), wanted):
            return True
    return False


def test_cells_of_one_network_compute_the_same_with_the_same_weights():
    rng, classes = Random(0), defaultdict(list)
    for operations in EVERY:
        classes[drawn(UNIQUE, operations)].append(operations)
    several = [cells for cells in classes.values() if len(cells) > 1]
    for cells in rng.sample(several, 10):
        assert computes_the_same(*rng.sample(cells, 2)), cells


def test_the_pooling_of_a_sum_is_the_sum_of_the_poolings():
    """All three are x pooled, and a convolution of x pooled."""
    conv, pool, none, skip = "nor_conv_3x3", "avg_pool_3x3", "none", "skip_connect"
    of_each = (conv, none, none, pool, pool, none)
    of_sum = (conv, skip, skip, none, none, pool)
    of_both = (conv, pool, skip, none, none, pool)  # x pooled once more is another network
    assert drawn(UNIQUE, of_each) == drawn(UNIQUE, of_sum) != drawn(UNIQUE, of_both)
    assert computes_the_same(of_each, of_sum)
    assert not computes_the_same(of_each, of_both)


def test_cells_of_other_networks_with_as_many_operations_compute_something_else():
    rng, alike = Random(0), defaultdict(set)
    for operations in EVERY:
        found = drawn(UNIQUE, operations).operations
        names = Counter(found)
        if names["avg_pool_3x3"] == 0 and sum(names[kind] for kind in CONVOLUTIONS) <= 4:
            alike[str(sorted(names.items()))].add(found)
    groups = [sorted(cells) for cells in alike.values() if len(cells) > 1]
    for cells in rng.choices(groups, k=10):
        one, other = rng.sample(cells, 2)
        assert not computes_the_same(one, other), (one, other)


def test_one_cell_stands_for_a_network_without_what_has_no_effect():
    cell = ("nor_conv_3x3", "none", "none", "nor_conv_1x1", "none", "none")
    found = drawn(UNIQUE, cell)
    assert str(found) == "|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|"
    assert str(drawn(SPACE, cell)).startswith("|nor_conv_3x3~0|")
    one, all_of_it = (s.build(drawn(s, cell)) for s in (UNIQUE, SPACE))
    dead = 3 * 9 * (2**2 + 4**2 + 8**2) // 3 + 2 * (2 + 4 + 8)
    params = [sum(p.numel() for p in network.parameters()) for network in (one, all_of_it)]
    assert params[1] - params[0] == dead
    assert count_macs(one.eval(), UNIQUE.example_inputs) < count_macs(
        all_of_it.eval(), SPACE.example_inputs
    )


def test_params_of_any_cell_are_those_of_the_one_that_stands_for_its_network():
    cell = NASBench201Architecture(("nor_conv_3x3", *["none"] * 5))
    params = UNIQUE.params_of(cell)
    assert set(params.values()) == {"none"}
    assert UNIQUE.suggest(FixedTrial(params)) == cell.unique()
    assert SPACE.params_of(cell)["edge0-1"] == "nor_conv_3x3"


@pytest.mark.parametrize("unique", [False, True])
def test_only_unique_cells_change_the_fingerprint(unique):
    """A study from before there was the setting has the text without it."""
    old = "NASBench201Space(outputs=10, input_shape=(3, 32, 32), channels=16, cells=5)"
    found = NASBench201Space(unique=unique).fingerprint
    assert (found == old) != unique


def test_a_study_of_unique_cells_evaluates_each_network_once():
    cells = [("nor_conv_1x1", *["none"] * 4, last) for last in ("none", "skip_connect")]
    cells += [(*["none"] * 3, "nor_conv_1x1", "none", last) for last in ("none", "avg_pool_3x3")]
    cells += [("skip_connect", "none", "none", "none", "nor_conv_1x1", "none")]
    table = {str(NASBench201Architecture(cell)): {"error": 1.0} for cell in EVERY}
    search = optnas.Search(
        space=UNIQUE,
        evaluator=optnas.TabularEvaluator(table, {"error": "minimize"}),
        objectives=("error", "params"),
        baselines={str(i): NASBench201Architecture(cell) for i, cell in enumerate(cells)},
        sampler="random",
        trials=5,
        seed=0,
    )
    trials = search.run(progress=False).trials
    assert [t.user_attrs.get("duplicate_of") for t in trials] == [None, 0, None, 2, 2]
    assert len({tuple(t.values) for t in trials[2:]}) == 1
