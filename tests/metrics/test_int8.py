"""Peaks and sizes of int8 networks against closed forms, and the best order by trying all."""

import random

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

import optnas
from optnas.candidate import Candidate
from optnas.metrics import Int8Flash, Int8PeakActivation
from optnas.metrics.execution_order import least_peak, peak_in_order
from optnas.metrics.int8_folding import Graph, Op
from optnas.metrics.int8_graph import int8_graph
from optnas.search_spaces.mobile.architecture import MobileBlock
from optnas.search_spaces.mobile.layers import InvertedResidual
from optnas.testing import MetricContract
from optnas.utils.draft import Draft

IMAGE = torch.zeros(1, 3, 8, 8)
PLANE = 64  # bytes of one channel


class TestInt8PeakActivation(MetricContract):
    metric = Int8PeakActivation()


class TestInt8PeakActivationInOwnOrder(MetricContract):
    metric = Int8PeakActivation("own")


class TestInt8Flash(MetricContract):
    metric = Int8Flash()


class Branches(nn.Module):
    """Applies each branch to the input, and then `join` to the list of their results."""

    def __init__(self, join, *branches):
        super().__init__()
        self.join, self.branches = join, nn.ModuleList(branches)

    def forward(self, x):
        return self.join([branch(x) for branch in self.branches])


class Part(nn.Module):
    def forward(self, x):
        return x[:, :2].relu()


class InPlace(nn.Module):
    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, x):
        y = self.conv(x)
        y += x
        return y.relu_()


def conv(channels, out, stride=1):
    return nn.Conv2d(channels, out, 3, stride, 1)


def normed(channels, out, activation):
    return nn.Sequential(conv(channels, out), nn.BatchNorm2d(out), activation)


def added(tensors):
    return tensors[0] + tensors[1]


def peaks(model, inputs=IMAGE):
    graph = int8_graph(model.eval(), inputs)
    least = least_peak(graph)
    assert least.exact
    return least.elements, peak_in_order(graph)


def test_mobilenet_v2_needs_what_executorch_plans_for_it():
    """Measured with ExecuTorch on a Cortex-M55: the arena has this number of bytes."""
    space = optnas.MobileSpace.around(optnas.MobileSpace.mobilenet_v2(), (3, 224, 224), 1000)
    model = space.build(optnas.MobileSpace.mobilenet_v2()).eval()
    graph = int8_graph(model, space.example_inputs)
    assert peak_in_order(graph) == 112 * 112 * 96 + 56 * 56 * 96 == 1_505_280
    assert least_peak(graph) == (1_505_280, True)
    # 52 convolutions, 10 additions, a mean, and the classifier: all else is folded or a view.
    assert [op.name for op in graph.ops].count("convolution") == 52
    assert len(graph.ops) == 64


@pytest.mark.parametrize(
    ("model", "planes"),
    [
        (nn.Identity(), 3),
        (conv(3, 8), 3 + 8),
        # Folded into the convolution: no tensor of their own.
        (normed(3, 8, nn.ReLU()), 3 + 8),
        (normed(3, 8, nn.ReLU6(inplace=True)), 3 + 8),
        (nn.Sequential(normed(3, 8, nn.ReLU6()), nn.Dropout(), nn.ReLU()), 3 + 8),
        # Not folded: the tensor before and the one after.
        (normed(3, 8, nn.Hardswish()), 8 + 8),
        (nn.Sequential(nn.BatchNorm2d(3), conv(3, 8)), 3 + 8),
        (nn.Sequential(conv(3, 8), nn.ReLU(), nn.BatchNorm2d(8)), 8 + 8),
        (nn.Sequential(conv(3, 8), nn.MaxPool2d(2), nn.ReLU()), 3 + 8),
        (nn.Sequential(conv(3, 8), nn.MaxPool2d(2)), 3 + 8),  # the indices aren't made
        (nn.Sequential(conv(3, 8), Part()), 3 + 8),  # the ReLU is of a part: 8 + 2 are alive
        (nn.Sequential(conv(3, 1), conv(1, 8), Part()), 8 + 2),
        # The skipped input is alive at the same time as the wide tensor.
        (Branches(added, nn.Identity(), nn.Sequential(conv(3, 8), conv(8, 3))), 3 + 8 + 3),
        # In place or not, an addition reads two tensors and makes one.
        (InPlace(conv(3, 3)), 3 + 3 + 3),
        (Branches(added, nn.Identity(), conv(3, 3)), 3 + 3 + 3),
        # Views cost nothing.
        (nn.Sequential(nn.Flatten(), nn.Unflatten(1, (3, 8, 8)), conv(3, 8)), 3 + 8),
        # Something else reads what the ReLU reads, so it makes a tensor of its own.
        (nn.Sequential(conv(3, 4), Branches(added, nn.Identity(), nn.ReLU())), 4 + 4 + 4),
    ],
)
def test_the_peak_equals_the_closed_form(model, planes):
    assert peaks(model) == (planes * PLANE, planes * PLANE)
    candidate = Candidate("", IMAGE, lambda: model)
    assert Int8PeakActivation().measure(candidate) == planes * PLANE / 1024


def test_the_order_of_branches_matters_and_a_runtime_may_keep_the_given_one():
    """Each branch makes a wide tensor and a narrow one; first both wide ones is the worst."""

    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide = nn.ModuleList([conv(3, 16), conv(3, 16)])
            self.narrow = nn.ModuleList([conv(16, 2), conv(16, 2)])

        def forward(self, x):
            wide = [layer(x) for layer in self.wide]
            first, second = (layer(y) for layer, y in zip(self.narrow, wide, strict=True))
            return first + second

    assert peaks(Wide()) == ((3 + 2 + 16) * PLANE, (3 + 16 + 16) * PLANE)
    model = Wide()
    best, own = (Int8PeakActivation(order) for order in ("best", "own"))
    candidate = Candidate("", IMAGE, lambda: model)
    assert best.measure(candidate) < own.measure(candidate) == 35 * PLANE / 1024
    assert candidate.details["int8"]["best_order_is_exact"]
    assert best.fingerprint != own.fingerprint


def test_all_inputs_count_and_outputs_live_to_the_end():
    class Two(nn.Module):
        def forward(self, x, y):
            total = x * y
            return total, total.mean()

    assert peaks(Two(), (torch.zeros(1, 10), torch.zeros(1, 10)))[0] == 30


@pytest.mark.parametrize(
    ("model", "inputs", "size"),
    [
        (conv(3, 8), IMAGE, 8 * 27 + 8 * 8),
        (nn.Conv2d(3, 8, 3, bias=False), IMAGE, 8 * 27 + 8 * 8),
        (normed(3, 8, nn.ReLU()), IMAGE, 8 * 27 + 8 * 8),  # its four vectors are folded
        (nn.Sequential(nn.BatchNorm2d(3), conv(3, 8)), IMAGE, 3 * 8 + 8 * 27 + 8 * 8),
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 5)), IMAGE, 192 * 5 + 5 * 8),
        (nn.ConvTranspose2d(3, 8, 2, groups=1), IMAGE, 3 * 8 * 4 + 8 * 8),
        (nn.Embedding(20, 6), torch.zeros(1, 4, dtype=torch.long), 120),
        # As a batch of products, for which PyTorch repeats the weight.
        (nn.Linear(8, 3, bias=False), torch.zeros(4, 5, 8), 24 + 3 * 8),
        (nn.PReLU(3), IMAGE, 3),
        (nn.MaxPool2d(2), IMAGE, 0),
    ],
)
def test_the_flash_equals_the_closed_form(model, inputs, size):
    candidate = Candidate("", inputs, lambda: model)
    assert Int8Flash().measure(candidate) == size / 1024


def test_tied_weights_count_once_and_what_no_inference_reads_never():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(6, 6))
            self.unused = nn.Linear(100, 100)

        def forward(self, x):
            return x @ self.weight @ self.weight.t()

    candidate = Candidate("", torch.zeros(1, 6), Tied)
    assert Int8Flash().measure(candidate) == (36 + 2 * 6 * 8) / 1024


def all_orders(graph):
    """The peak of each order in which the operations may run, by trying all."""
    maker = {value: op for op in graph.ops for value in op.makes}
    needs = {op: {maker[v] for v in op.reads if v in maker} for op in graph.ops}

    def run(done, rest):
        if not rest:
            yield peak_in_order(graph._replace(ops=done))
        for op in rest:
            if needs[op] <= set(done):
                yield from run((*done, op), [other for other in rest if other is not op])

    return run((), list(graph.ops))


def cell_of(space, seed):
    """The first cell of a random architecture, with inputs."""
    model = space.build(space.suggest(Draft({}, random.Random(seed))))
    if isinstance(space, optnas.NASBench201Space):
        return model[2], torch.zeros(1, 16, 8, 8)
    cell = next(iter(model.cells.values()))
    x = torch.zeros(1, model.stem[0].out_channels, 8, 8)
    return cell, (x, x)


def networks():
    """Ten small networks, with inputs."""
    wide = nn.Sequential(conv(3, 9), conv(9, 2))
    yield Branches(added, nn.Identity(), nn.Sequential(conv(3, 8), conv(8, 3))), IMAGE
    yield Branches(torch.stack, wide, nn.Sequential(conv(3, 4), conv(4, 2)), conv(3, 2)), IMAGE
    yield Branches(lambda t: torch.cat(t, 1), wide, nn.MaxPool2d(3, 1, 1), conv(3, 5)), IMAGE
    squeezed = MobileBlock(8, 3, 4, squeeze_excitation="expanded", activation="hard_swish")
    yield InvertedResidual(8, squeezed), torch.zeros(1, 8, 6, 6)
    nb201 = optnas.NASBench201Space(input_shape=(3, 8, 8), cells=1)
    yield from (cell_of(nb201, seed) for seed in (2, 9, 13, 14))
    cells = optnas.CellSpace.small((3, 8, 8), 10)
    yield from (cell_of(cells, seed) for seed in (4, 12))


def test_the_best_orders_of_ten_networks_are_those_of_brute_force():
    found = []
    for model, inputs in networks():
        graph = int8_graph(model.eval(), inputs)
        found.append((least_peak(graph), peak_in_order(graph)))
        assert found[-1][0] == (min(all_orders(graph)), True)
    assert len(found) == 10
    assert sum(best.elements < own for best, own in found) >= 4  # in these, the order matters


@st.composite
def graphs(draw):
    """Graphs of up to 7 operations, each of which reads one or two values made before."""
    inputs = draw(st.integers(1, 2))
    sizes, ops = [draw(st.integers(1, 9)) for _ in range(inputs)], []
    for _ in range(draw(st.integers(1, 7))):
        reads = draw(st.sets(st.integers(0, len(sizes) - 1), min_size=1, max_size=2))
        ops.append(Op("op", tuple(reads), (len(sizes),)))
        sizes.append(draw(st.integers(1, 9)))
    read = {value for op in ops for value in op.reads}
    outputs = {v for op in ops for v in op.makes} - read
    return Graph(tuple(ops), tuple(sizes), tuple(range(inputs)), frozenset(outputs))


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_the_best_order_of_a_random_graph_is_that_of_brute_force(graph):
    best = min(all_orders(graph))
    assert least_peak(graph) == (best, True)
    assert best <= least_peak(graph, most=0).elements <= peak_in_order(graph)


def test_a_search_that_is_given_up_gives_the_peak_of_some_order_and_says_so():
    space, architecture = optnas.CellSpace.darts(), optnas.CellSpace.darts_v2(width=4, cells=3)
    graph = int8_graph(space.build(architecture).eval(), torch.zeros(1, 3, 16, 16))
    best, own = least_peak(graph), peak_in_order(graph)
    assert best.exact
    assert best.elements < own
    for most in (0, 2):
        given_up = least_peak(graph, most)
        assert not given_up.exact
        assert best.elements <= given_up.elements <= own


def test_an_unknown_order_is_refused():
    with pytest.raises(ValueError, match="order must be one of best, own"):
        Int8PeakActivation("worst")
