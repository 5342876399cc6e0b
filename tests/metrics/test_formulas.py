"""Each product has a number or a name, and complex ones count the same in every layer."""

import pytest
import torch
from counts import Net
from torch import nn
from torch.nn import functional

from optnas.metrics import profile
from optnas.metrics.counting import count_macs, count_pass
from optnas.metrics.formulas import may_multiply

COMPLEX = torch.complex64
LAYERS = {
    "linear": (nn.Linear, (8, 4), {}, (1, 8)),
    "bilinear": (nn.Bilinear, (8, 8, 4), {}, (1, 8)),
    "conv1d": (nn.Conv1d, (4, 6, 3), {}, (1, 4, 8)),
    "conv2d": (nn.Conv2d, (4, 6, 3), {"groups": 2, "stride": 2}, (1, 4, 8, 8)),
    "conv2d, same": (nn.Conv2d, (4, 6, 3), {"padding": "same"}, (1, 4, 8, 8)),
    "conv2d, circular": (
        nn.Conv2d,
        (4, 6, 3),
        {"padding": 1, "padding_mode": "circular"},
        (1, 4, 8, 8),
    ),
    "conv2d, no batch": (nn.Conv2d, (4, 6, 3), {}, (4, 8, 8)),
    "conv3d": (nn.Conv3d, (2, 3, 3), {}, (1, 2, 4, 4, 4)),
    "conv_transpose1d": (nn.ConvTranspose1d, (4, 6, 3), {}, (1, 4, 8)),
    "conv_transpose2d": (nn.ConvTranspose2d, (4, 6, 3), {"stride": 2}, (1, 4, 8, 8)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_complex_product_counts_as_four_real_ones(name):
    kind, sizes, settings, shape = LAYERS[name]
    inputs = torch.zeros(shape)
    inputs = (inputs, inputs) if kind is nn.Bilinear else (inputs,)
    real = count_macs(kind(*sizes, **settings), inputs)
    complex_layer = kind(*sizes, **settings, dtype=COMPLEX)
    complex_inputs = tuple(t.to(COMPLEX) for t in inputs)
    assert count_macs(complex_layer, complex_inputs) == 4 * real > 0
    with torch.inference_mode():
        assert count_macs(complex_layer, complex_inputs) == 4 * real


def test_a_complex_convolution_by_hand_counts_as_it_is_written():
    def four(net, x):
        a, b = net.w.real, net.w.imag
        real = functional.conv2d(x.real, a) - functional.conv2d(x.imag, b)
        return real, functional.conv2d(x.real, b) + functional.conv2d(x.imag, a)

    weight, x = torch.zeros(6, 4, 3, 3, dtype=COMPLEX), torch.zeros(1, 4, 8, 8, dtype=COMPLEX)
    assert count_macs(Net(four, w=weight), x) == 4 * 6 * 4 * 9 * 36
    assert count_macs(Net(lambda s, x: functional.conv2d(x.real, s.w.real), w=weight), x) == (
        6 * 4 * 9 * 36
    )


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_a_scripted_complex_convolution_counts_the_same():
    layer = torch.jit.script(nn.Conv2d(4, 6, 3, dtype=COMPLEX))
    assert count_macs(layer, torch.zeros(1, 4, 8, 8, dtype=COMPLEX)) == 4 * 6 * 4 * 9 * 36


def test_thop_is_not_blamed_for_counting_complex_products_once():
    for layer, shape in (
        (nn.Linear(8, 4, dtype=COMPLEX), (1, 8)),
        (
            nn.Conv2d(4, 6, 3, dtype=COMPLEX),
            (1, 4, 8, 8),
        ),
    ):
        found = profile(layer, torch.zeros(shape, dtype=COMPLEX)).thop
        assert found.macs == 4 * found.macs_thop
        assert found.differences == ()


SQUARE = torch.eye(4) + 0.1
PRODUCTS = {
    "cdist": (lambda x: torch.cdist(x, x), 4 * 4 * 4, ()),
    "cdist by a product": (lambda x: torch.cdist(x.repeat(10, 1), x), 40 * 4 * 4, ()),
    "cdist, batches": (lambda x: torch.cdist(x.expand(3, 4, 4), x), 3 * 4 * 4 * 4, ()),
    "affine grid": (
        lambda x: functional.affine_grid(x[None, :2, :3], (1, 1, 5, 6), False),
        5 * 6 * 2 * 3,
        (),
    ),
    "affine grid, 3-d": (
        lambda x: functional.affine_grid(x[None, :3], (1, 1, 2, 5, 6), False),
        2 * 5 * 6 * 3 * 4,
        (),
    ),
    "other norm": (lambda x: torch.cdist(x, x, p=1), 0, ("aten::_cdist_forward",)),
    "pdist": (torch.pdist, 0, ("aten::_pdist_forward",)),
    "solve": (lambda x: torch.linalg.solve(x, x), 0, ("aten::_linalg_solve_ex",)),
    "inv": (torch.linalg.inv, 0, ("aten::linalg_inv_ex",)),
    "pinv": (torch.linalg.pinv, 0, ("aten::linalg_pinv.atol_rtol_tensor",)),
    "matrix_exp": (torch.matrix_exp, 0, ("aten::linalg_matrix_exp",)),
    "det": (torch.det, 0, ("aten::_linalg_det",)),
    "cholesky": (torch.linalg.cholesky, 0, ("aten::linalg_cholesky_ex",)),
    "qr": (lambda x: torch.linalg.qr(x).Q, 0, ("aten::linalg_qr",)),
    "svd": (lambda x: torch.linalg.svd(x).S, 0, ("aten::_linalg_svd",)),
    "eigh": (lambda x: torch.linalg.eigh(x).eigenvalues, 0, ("aten::_linalg_eigh",)),
    "lstsq": (lambda x: torch.linalg.lstsq(x, x).solution, 0, ("aten::linalg_lstsq",)),
    "fft": (lambda x: torch.fft.rfft(x).abs(), 0, ("aten::_fft_r2c",)),
    "sparse": (lambda x: SQUARE.to_sparse() @ x, 0, ("aten::mm",)),
    "power": (lambda x: torch.linalg.matrix_power(x, 3), 2 * 4**3, ()),
    "no product": (
        lambda x: functional.interpolate(x[None, None], scale_factor=2, mode="bilinear"),
        0,
        (),
    ),
    "quantiser": (lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 0, 0, 255), 0, ()),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_is_counted_or_named(name):
    run, macs, names = PRODUCTS[name]
    assert count_pass(Net(lambda net, x: run(x)).eval(), SQUARE) == (macs, names)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_quantised_operations_are_named_if_they_are_products():
    """PyTorch's own are told apart by their names; of custom ones nothing is known."""

    def forward(net, x):
        x = torch.quantize_per_tensor(x, 0.1, 0, torch.qint8)
        return torch.ops.quantized.add_relu(x, x, 0.1, 0).dequantize()

    assert count_pass(Net(forward).eval(), SQUARE) == (0, ())
    for name in ("quantized_lstm", "hspmm", "slow_conv_dilated2d", "_conv_depthwise2d"):
        packet = getattr(torch.ops.aten, name)
        assert may_multiply(getattr(packet, packet.overloads()[0])), name
