"""Drawings of networks: their data, and the SVG made from it."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import optuna
import pytest
import torch
from optuna.trial import TrialState, create_trial
from torch import nn

import optnas
from optnas.drawings import Largest, drawing, drawing_svg, drawings_of
from optnas.errors import InputError
from optnas.metrics import profile
from optnas.search_spaces import Cell, CellArchitecture

IMAGE = torch.zeros(1, 3, 8, 8)


def blocks_of(found):
    return [block for stage in found.stages for block in stage.blocks]


def titles(found):
    return [block.title for block in blocks_of(found)]


def total(found, name):
    return sum(
        getattr(block, name) * block.times * stage.times
        for stage in found.stages
        for block in stage.blocks
    )


def texts(svg):
    return [
        node.text for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    ]


def convolution(channels, out, size=3, **kwargs):
    return [
        nn.Conv2d(channels, out, size, padding=size // 2, bias=False, **kwargs),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    ]


def test_small_layers_are_folded_into_the_one_before():
    model = nn.Sequential(
        *convolution(3, 8, 5, stride=2),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(32, 10),
    )
    found = drawing(model, IMAGE, "net")
    assert [(b.kind, b.title, b.after, b.output) for b in blocks_of(found)] == [
        ("conv", "conv 5×5 /2", ("BN", "ReLU"), (8, 4, 4)),
        ("pool", "max pool 2", ("dropout 0.2",), (8, 2, 2)),
        ("linear", "linear 10", (), (10,)),
    ]
    assert [b.params for b in blocks_of(found)] == [3 * 25 * 8 + 16, 0, 330]
    assert [b.macs for b in blocks_of(found)] == [3 * 25 * 8 * 16, 0, 320]
    assert (found.params, found.macs) == (946, 9920)


class Residual(nn.Module):
    """Pre-activation, so that small layers come before their convolution."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.activation = nn.GELU()
        self.conv = nn.Sequential(
            nn.Conv2d(3, 3, 3, padding=1, groups=3), nn.Conv2d(3, 3, 1, bias=False)
        )
        self.shortcut = nn.Sequential(nn.Conv2d(3, 3, 1))

    def forward(self, x):
        return self.shortcut(x) + self.conv(self.activation(self.norm(x)))


def test_stages_repeat_and_branches_are_named():
    found = drawing(nn.Sequential(nn.Conv2d(3, 3, 1), *(Residual() for _ in range(3))), IMAGE)
    assert [(stage.path, stage.times) for stage in found.stages] == [("", 1), ("1", 3)]
    assert [(b.kind, b.title, b.after) for b in found.stages[1].blocks] == [
        ("conv", "skip conv 1×1", ("BN", "GELU")),
        ("depthwise conv", "separable conv 3×3", ()),
    ]
    assert (total(found, "params"), total(found, "macs")) == (found.params, found.macs)


def test_equal_layers_in_a_row_are_drawn_once():
    model = nn.Sequential(
        nn.Linear(4, 8), nn.ReLU(), *(m for _ in range(3) for m in (nn.Linear(8, 8), nn.ReLU()))
    )
    found = drawing(model, torch.zeros(1, 4))
    assert [(b.title, b.times) for b in blocks_of(found)] == [("linear 8", 1), ("linear 8", 3)]
    assert total(found, "params") == found.params


@pytest.mark.parametrize(
    ("model", "inputs", "kinds"),
    [
        (
            nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2),
            torch.zeros(1, 5, 16),
            [("attention", "attention 4 heads"), ("linear", "linear 32"), ("linear", "linear 16")],
        ),
        (
            nn.Sequential(nn.Embedding(9, 4), nn.LSTM(4, 8, 2, bidirectional=True)),
            torch.zeros(1, 5, dtype=torch.long),
            [("embedding", "embedding 9"), ("recurrent", "LSTM 8 × 2 both ways")],
        ),
        (
            nn.Sequential(
                nn.ConvTranspose2d(3, 4, 2, 2), nn.AdaptiveAvgPool2d(4), nn.AvgPool2d((2, 1))
            ),
            IMAGE,
            [
                ("conv", "transposed conv 2×2 /2"),
                ("pool", "avg pool to 4"),
                ("pool", "avg pool 2×1"),
            ],
        ),
        (nn.ReLU(), IMAGE, [("other", "ReLU")]),
        (nn.Conv1d(3, 4, 3), torch.zeros(1, 3, 9), [("conv", "conv 3")]),
    ],
)  # fmt: skip
def test_kinds_of_layers(model, inputs, kinds):
    found = drawing(model, inputs)
    assert [(b.kind, b.title) for b in blocks_of(found)] == kinds
    assert (total(found, "params"), total(found, "macs")) == (found.params, found.macs)


@pytest.mark.parametrize(
    "space",
    [
        optnas.MLPSpace((10,), 3),
        optnas.MacroCNNSpace((1, 8, 8), 10),
        optnas.CellSpace.small((1, 8, 8), 10),
        optnas.MobileSpace.small((1, 8, 8), 10),
        optnas.NASBench201Space(input_shape=(3, 8, 8), channels=4, cells=3),
        optnas.ResNetSpace.small((1, 8, 8), 10),
    ],
    ids=lambda space: type(space).__name__,
)
def test_blocks_add_up_to_the_whole_network(space):
    """Every parameter and multiply-accumulate is in a block, as in `profile`."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(5):
        model = space.build(space.suggest(study.ask()))
        found, table = drawing(model, space.example_inputs), profile(model, space.example_inputs)
        assert (found.params, found.macs) == (table.params, table.macs)
        assert (total(found, "params"), total(found, "macs")) == (table.params, table.macs)


def test_a_cell_shows_what_was_chosen_even_where_it_does_nothing():
    space = optnas.NASBench201Space(input_shape=(3, 8, 8), channels=4, cells=2)
    trial = optuna.trial.FixedTrial(
        {
            "edge0-1": "none", "edge0-2": "skip_connect", "edge1-2": "nor_conv_1x1",
            "edge0-3": "nor_conv_3x3", "edge1-3": "avg_pool_3x3", "edge2-3": "skip_connect",
        }
    )  # fmt: skip
    found = drawing(space.build(space.suggest(trial)), space.example_inputs)
    cells = [stage for stage in found.stages if stage.times == 2]
    assert len(cells) == 3
    assert [block.title for block in cells[0].blocks] == [
        "Zero", "skip", "conv 1×1", "conv 3×3", "avg pool 3", "skip",
    ]  # fmt: skip


def test_a_reduction_cell_shows_its_operations():
    space = optnas.CellSpace((1, 8, 8), 10, (4,), (2, 2), (0, 0), (2, 2))
    cell = Cell(
        ((("skip_connect", 0), ("sep_conv_3x3", 1)), (("skip_connect", 2), ("max_pool_3x3", 2)))
    )
    found = drawing(space.build(CellArchitecture(4, (0, 0), None, cell)), space.example_inputs)
    (reduction,) = (stage for stage in found.stages if stage.path == "cells.stage2_reduction")
    assert [(block.title, block.after, block.times) for block in reduction.blocks] == [
        ("conv 1×1", ("ReLU", "BN"), 2),
        ("factorized conv 1×1 /2", (), 1),
        ("separable conv 3×3 /2", ("ReLU", "BN"), 1),
        ("separable conv 3×3", ("ReLU", "BN"), 1),
        ("max pool 3", (), 1),
        ("skip", (), 1),
    ]


def test_squeeze_and_excitation_is_one_block():
    base = optnas.MobileSpace.mobilenet_v3_large((3, 32, 32), strides=(1, 1, 2, 2, 2, 1, 1))
    space = optnas.MobileSpace.small((3, 32, 32), 10)
    found = drawing(space.build(base), space.example_inputs)
    last = next(stage for stage in found.stages if stage.path == "stage6.block2")
    assert [(b.title, b.after) for b in last.blocks] == [
        ("conv 1×1", ("BN", "Hardswish")),
        ("depthwise conv 5×5", ("BN", "Hardswish")),
        ("squeeze-excitation 240", ()),
        ("conv 1×1", ("BN", "skip")),
    ]
    assert (last.times, last.blocks[2].params) == (2, 960 * 240 * 2 + 240 + 960)


def test_svg_names_each_block_and_its_shares():
    model = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 4, bias=False))
    svg = drawing_svg(drawing(model, torch.zeros(1, 4), "a net"))
    found = texts(svg)
    assert found[:3] == ["a net", "96 MACs", "108 parameters"]
    assert found[3:8] == ["linear 12", "12", "ReLU", "50%", "56%"]
    assert "50%" in found[8:]
    assert "0: linear 12, ReLU, output 12, 48 MACs, 60 parameters" in svg


def test_svg_is_safe_and_as_wide_as_asked():
    name = "<script>alert('x')</script> & \"y\"\x00"
    svg = drawing_svg(drawing(nn.Sequential(*convolution(3, 8)), IMAGE, name), width=300)
    assert "<script" not in svg
    root = ElementTree.fromstring(svg)
    assert root.get("width") == "300"
    assert texts(svg)[0].startswith("<script>alert(")
    assert not re.search(r"href|url\(|@import", svg), "it refers to another file"


def test_networks_side_by_side_have_one_scale():
    small = drawing(nn.Linear(4, 1, bias=False), torch.zeros(1, 4))
    large = drawing(nn.Linear(4, 4, bias=False), torch.zeros(1, 4))
    longest = [
        [
            float(bar.get("width"))
            for bar in ElementTree.fromstring(drawing_svg(found, largest=Largest(16, 16))).iter(
                "{http://www.w3.org/2000/svg}rect"
            )
            if bar.get("height") == "8"
        ]
        for found in (small, large)
    ]
    assert longest == [[50, 50], [200, 200]]


def test_a_deep_network_is_cut_off_with_a_note():
    widths = [4 + i % 2 for i in range(101)]
    layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
    svg = drawing_svg(drawing(nn.Sequential(*layers), torch.zeros(1, 4)))
    assert "28 more blocks aren't drawn" in texts(svg)
    assert sum(text.startswith("linear ") for text in texts(svg)) == 72


def test_drawings_of_the_front(search):
    study = search.run()
    drawn = drawings_of(study, search)
    assert set(drawn) == {t.number for t in optnas.front(study)}
    for number, svg in drawn.items():
        assert texts(svg)[0].startswith(f"trial {number}: ")
    assert drawings_of(study, search.objective(), [0]).keys() == {0}
    with pytest.raises(InputError, match=r"study 'tiny' has no trial 99: it has 6, from 0"):
        drawings_of(study, search, [99])


def test_a_trial_without_a_network_is_drawn_as_its_reason(search):
    study = search.run()
    study.add_trial(create_trial(state=TrialState.FAIL))
    (svg,) = drawings_of(study, search, [6]).values()
    assert texts(svg)[0] == "trial 6"
    assert "has no architecture" in " ".join(texts(svg))
