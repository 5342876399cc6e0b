"""Multiply-accumulates and parameters: thop, PyTorch's counter and optnas next to closed forms.

    python benchmarks/counts.py

thop and PyTorch's `FlopCounterMode` (halved) are called as their documentation shows, on a copy
of the model in evaluation mode on the CPU. The closed forms are worked out by hand from the
definition: multiply-accumulates of convolutions, matrix products, recurrent layers and attention
for one example; no bias, normalisation, activation, pooling or softmax.
"""

import copy
import csv
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

import optnas
from optnas.metrics.counting import count_macs
from optnas.metrics.params import count_params
from optnas.search_spaces.macro_cnn import ConvLayer, MacroCNNArchitecture
from optnas.search_spaces.mlp import MLPArchitecture
from optnas.search_spaces.nasbench201 import NASBench201Architecture

RESULTS = Path(__file__).parent / "results" / "counts.csv"


@dataclass(frozen=True)
class Case:
    """A network with what it is known to cost.

    `thop_off` says whether the count of the original thop differs by more than normalisation,
    pooling, activations, softmax, and the biases of recurrent layers.
    """

    model: nn.Module
    inputs: Tensor
    macs: int
    params: int
    thop_off: bool


class Net(nn.Module):
    """A forward function over some modules and parameters."""

    def __init__(self, forward, *modules, **parameters):
        super().__init__()
        self.parts = nn.ModuleList(modules)
        for name, value in parameters.items():
            setattr(self, name, nn.Parameter(value))
        self.run = forward

    def forward(self, *args, **kwargs):
        return self.run(self, *args, **kwargs)


def tied():
    net = Net(lambda s, x: s.parts[1](s.parts[0](x)), nn.Linear(10, 10, False), nn.Linear(10, 10))
    net.parts[1].weight = net.parts[0].weight
    return net


IMAGE, SEQUENCE = torch.zeros(1, 3, 16, 16), torch.zeros(1, 50, 64)
ATTENTION = 4 * 50 * 64 * 64 + 2 * 50 * 50 * 64

CASES: dict[str, Case] = {
    "bare linear": Case(nn.Linear(10, 11), torch.zeros(1, 10), 110, 121, False),
    "bare convolution": Case(nn.Conv2d(3, 8, 3, padding=1), IMAGE, 256 * 27 * 8, 224, False),
    "grouped": Case(
        nn.Conv2d(4, 8, 3, padding=1, groups=2, bias=False),
        torch.zeros(1, 4, 16, 16),
        256 * 9 * 2 * 8,
        9 * 2 * 8,
        False,
    ),
    "depthwise": Case(
        nn.Conv2d(3, 6, 3, padding=1, groups=3),
        IMAGE,
        256 * 9 * 6,
        6 * 9 + 6,
        False,
    ),
    "transposed, stride 2": Case(
        nn.ConvTranspose2d(3, 8, 2, 2, bias=False),
        IMAGE,
        256 * 3 * 8 * 4,
        96,
        True,
    ),
    "functional convolution": Case(
        Net(lambda s, x: functional.conv2d(x, s.w, padding=1), w=torch.zeros(8, 3, 3, 3)),
        IMAGE,
        256 * 27 * 8,
        216,
        True,
    ),
    "matmul with a parameter held directly": Case(
        Net(lambda s, x: torch.matmul(x, s.w), w=torch.zeros(64, 4)),
        SEQUENCE,
        50 * 64 * 4,
        256,
        True,
    ),
    "matrix and vector": Case(
        Net(lambda s, x: x[0] @ s.w, w=torch.zeros(64)),
        SEQUENCE,
        50 * 64,
        64,
        True,
    ),
    "vector and vector": Case(
        Net(lambda s, x: (x[0, 0] @ s.w)[None], w=torch.zeros(64)),
        SEQUENCE,
        64,
        64,
        True,
    ),
    "addmv, addr, addbmm": Case(
        Net(
            lambda s, x: (
                torch.addmv(s.v, x[0], s.w)
                + torch.addr(torch.zeros(50, 64), s.v, s.w).sum()
                + torch.addbmm(torch.zeros(50, 50), x, x.mT).sum()
            ),
            w=torch.zeros(64),
            v=torch.zeros(50),
        ),
        SEQUENCE,
        50 * 64 + 50 * 64 + 50 * 64 * 50,
        114,
        True,
    ),
    "bilinear": Case(
        Net(lambda s, x: s.parts[0](x, x), nn.Bilinear(64, 64, 3, bias=False)),
        SEQUENCE,
        50 * 3 * (64 * 64 + 64),
        3 * 64 * 64,
        True,
    ),
    "multi-head attention": Case(
        Net(lambda s, x: s.parts[0](x, x, x)[0], nn.MultiheadAttention(64, 4, batch_first=True)),
        SEQUENCE,
        ATTENTION,
        16_640,
        True,
    ),
    "transformer encoder layer": Case(
        nn.TransformerEncoderLayer(64, 4, 128, batch_first=True),
        SEQUENCE,
        ATTENTION + 2 * 50 * 64 * 128,
        33_472,
        True,
    ),
    "scaled dot product attention": Case(
        Net(lambda s, x: functional.scaled_dot_product_attention(x[None], x[None], x[None])),
        SEQUENCE,
        2 * 50 * 50 * 64,
        0,
        True,
    ),
    "lstm, two layers, both ways": Case(
        nn.LSTM(64, 8, 2, batch_first=True, bidirectional=True),
        SEQUENCE,
        50 * 2 * 4 * 8 * (64 + 8 + 16 + 8),
        2 * (32 * (64 + 8) + 64 + 32 * (16 + 8) + 64),
        False,
    ),
    "gru": Case(
        nn.GRU(64, 8, batch_first=True),
        SEQUENCE,
        50 * 3 * 8 * (64 + 8),
        24 * 72 + 48,
        False,
    ),
    "rnn cell": Case(nn.RNNCell(64, 8), torch.zeros(1, 64), 8 * 72, 8 * 72 + 16, False),
    "batch normalisation": Case(nn.BatchNorm2d(3), IMAGE, 0, 6, False),
    "group normalisation": Case(nn.GroupNorm(1, 3), IMAGE, 0, 6, False),
    "layer normalisation": Case(nn.LayerNorm(16), IMAGE, 0, 32, False),
    "pooling, activation, softmax": Case(
        nn.Sequential(nn.MaxPool2d(2), nn.AvgPool2d(2), nn.PReLU(), nn.Softmax(1)),
        IMAGE,
        0,
        1,
        False,
    ),
    "convolution, normalisation, activation": Case(
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.GELU()),
        IMAGE,
        256 * 27 * 8,
        216 + 16,
        False,
    ),
    "a module used twice": Case(
        Net(lambda s, x: s.parts[0](s.parts[0](x)), nn.Linear(10, 10)),
        torch.zeros(1, 10),
        200,
        110,
        False,
    ),
    "tied weights": Case(tied(), torch.zeros(1, 10), 200, 110, False),
    "MLPSpace": Case(
        optnas.MLPSpace((2, 5), 3).build(MLPArchitecture((32, 64), "relu", 0.2)),
        torch.zeros(1, 2, 5),
        10 * 32 + 32 * 64 + 64 * 3,
        11 * 32 + 33 * 64 + 65 * 3,
        False,
    ),
    "MacroCNNSpace": Case(
        optnas.MacroCNNSpace((3, 8, 8), 10).build(
            MacroCNNArchitecture(
                (
                    ConvLayer("conv", 5, 8, "relu", True, "max"),
                    ConvLayer("sepconv", 3, 16, "gelu", True, "avg"),
                    ConvLayer("sepconv", 3, 16, "tanh", True, "none"),
                )
            )
        ),
        torch.zeros(1, 3, 8, 8),
        64 * (25 * 3 * 8 + 3 * 8) + 16 * (9 * 8 + 2 * 8 * 16) + 4 * (9 * 16 + 16 * 16) + 160,
        (25 * 3 * 8 + 3 * 8 + 16) + (9 * 8 + 2 * 8 * 16 + 32) + (9 * 16 + 16 * 16 + 32) + 170,
        False,
    ),
    "NASBench201Space, 2 of 1×1 and 1 of 3×3": Case(
        optnas.NASBench201Space().build(
            NASBench201Architecture(
                (
                    "nor_conv_3x3",
                    "nor_conv_1x1",
                    "none",
                    "skip_connect",
                    "nor_conv_1x1",
                    "avg_pool_3x3",
                )
            )
        ),
        torch.zeros(1, 3, 32, 32),
        7_783_040 + 2 * 3_932_160 + 35_389_440,
        73_306 + 2 * 28_000 + 243_040,
        False,
    ),
}


def by_thop(case: Case) -> tuple[int, int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import thop

        macs, params = thop.profile(
            copy.deepcopy(case.model).eval(), inputs=(case.inputs,), verbose=False
        )
    return int(macs), int(params)


def by_pytorch(case: Case) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        copy.deepcopy(case.model).eval()(case.inputs)
    return counter.get_total_flops() // 2


def main() -> None:
    head = ["network", "closed form", "optnas", "thop", "PyTorch's counter"]
    rows = [[*head, "params: closed form", "params: optnas", "params: thop"]]
    wrong = []
    for name, case in CASES.items():
        macs, params = count_macs(case.model, case.inputs), count_params(case.model)
        macs_thop, params_thop = by_thop(case)
        rows.append(
            [name, case.macs, macs, macs_thop, by_pytorch(case), case.params, params, params_thop]
        )
        if (macs, params) != (case.macs, case.params):
            wrong.append(name)
    widths = [max(len(_text(cell)) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(_text(c).rjust(w) for c, w in zip(row, widths, strict=True)))
    with RESULTS.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    print(f"optnas is off for: {', '.join(wrong) or 'none'}")


def _text(cell: object) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


if __name__ == "__main__":
    main()
