"""Peaks of memory against closed forms and PyTorch's own profiler."""

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile as torch_profile

import optnas
from optnas.candidate import Candidate
from optnas.metrics import CudaPeakMemory, PeakActivation, PeakMemory
from optnas.metrics.memory import trace_memory

IMAGE = torch.zeros(1, 3, 16, 16)
INPUT, WIDE = 4 * 768, 4 * 2048  # bytes of the image, and of 8 channels of its size


def conv(channels, out):
    return nn.Conv2d(channels, out, 3, padding=1, bias=False)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = conv(3, 8), conv(8, 3)

    def forward(self, x):
        return x + self.second(self.first(x))


# Peaks as Python keeps tensors, and with each tensor kept to its last use; without weights.
@pytest.mark.parametrize(
    ("model", "kept", "needed"),
    [
        (nn.Identity(), INPUT, INPUT),
        (conv(3, 8), INPUT + WIDE, INPUT + WIDE),
        # The caller of a model keeps its input to the end; a runtime that plans memory doesn't.
        (nn.Sequential(conv(3, 8), nn.ReLU()), INPUT + 2 * WIDE, 2 * WIDE),
        (nn.Sequential(conv(3, 8), nn.ReLU(inplace=True)), INPUT + WIDE, INPUT + WIDE),
        # A module that calls others does so too; nesting doesn't change the planned peak.
        (
            nn.Sequential(
                nn.Sequential(conv(3, 8), nn.ReLU()), nn.Sequential(conv(8, 8), nn.ReLU())
            ),
            INPUT + 3 * WIDE,
            2 * WIDE,
        ),
        (nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 8), nn.ReLU()), INPUT + 2 * WIDE, 2 * WIDE),
        # The skipped input is needed to the end, the wide tensor goes in between.
        (Residual(), 2 * INPUT + WIDE, 2 * INPUT + WIDE),
        # A view is no second tensor.
        (nn.Sequential(nn.Flatten(), nn.Linear(768, 10, False)), INPUT + 40, INPUT + 40),
    ],
)
def test_peaks_equal_the_closed_form(model, kept, needed):
    weights = sum(4 * p.numel() for p in model.parameters())
    assert trace_memory(model.eval(), IMAGE) == (weights + kept, needed)
    candidate = Candidate("", IMAGE, lambda: model)
    assert PeakMemory().measure(candidate) == (weights + kept) / 1e6
    assert PeakActivation().measure(candidate) == needed / 1e6


def test_tied_weights_and_buffers_count_once():
    model = nn.Sequential(nn.Linear(10, 10, False), nn.Linear(10, 10, False))
    model[1].weight = model[0].weight
    model.register_buffer("table", torch.zeros(1000))
    peak, _ = trace_memory(model, torch.zeros(1, 10))
    assert peak == 4 * (100 + 1000) + 3 * 40


def test_attention_is_followed_inside_a_transformer_layer():
    """The fused layer would be a single operation, whose tensors can't be seen."""
    layer = nn.TransformerEncoderLayer(16, 4, 256, batch_first=True).eval()
    _, needed = trace_memory(layer, torch.zeros(1, 10, 16))
    assert needed >= 4 * (10 * 16 + 2 * 10 * 256)  # the two wide tensors of the feed-forward part


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.ReLU(), nn.Tanh(), nn.ReLU()),
        nn.Sequential(nn.Sequential(nn.Tanh(), nn.Tanh()), nn.Sequential(nn.Tanh(), nn.Tanh())),
        nn.Sequential(nn.Sigmoid(), nn.MaxPool2d(2), nn.Flatten(), nn.ReLU()),
    ],
)
def test_the_peak_is_what_the_profiler_sees(model):
    """For operations without workspaces; the profiler doesn't see the input, made before."""
    model.eval()
    with (
        torch.no_grad(),
        torch_profile(
            activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True
        ) as profiler,
    ):
        model(IMAGE)
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    assert trace_memory(model, IMAGE)[0] == peak + INPUT


def test_spaces_need_no_more_than_is_kept():
    space = optnas.MacroCNNSpace((1, 8, 8), 10)
    from optnas.testing.spaces import architectures

    for architecture, _ in architectures(space, 10):
        model = space.build(architecture).eval()
        weights = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
        kept, needed = trace_memory(model, space.example_inputs)
        assert 4 * 64 <= needed <= kept - weights


def test_a_slice_of_a_data_set_is_one_example():
    data = torch.zeros(5000, 4)
    assert trace_memory(nn.Identity(), data[:1]) == (16, 16)


TABLE = torch.zeros(1000)


class Record:
    def __init__(self):
        self.table = torch.zeros(1000)


@pytest.mark.parametrize(
    ("held", "table"),
    [
        (torch.zeros(1000), lambda held: held),
        ([torch.zeros(1000)], lambda held: held[0]),
        ((torch.zeros(1000),), lambda held: held[0]),
        ({"a": {"b": torch.zeros(1000)}}, lambda held: held["a"]["b"]),
        (Record(), lambda held: held.table),
        ((lambda table: lambda: table)(torch.zeros(1000)), lambda held: held()),
        (None, lambda held: TABLE),
    ],
    ids=["attribute", "list", "tuple", "dictionaries", "object", "closure", "global"],
)
def test_constants_count_like_weights(held, table):
    """A constant takes as much memory as a buffer, and is no activation, wherever it is held."""

    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.held = held

        def forward(self, x):
            return x.relu().sum() + table(self.held)[0]

    # x and its ReLU; then the sum and the ReLU's result.
    assert trace_memory(Constant(), torch.zeros(1, 10)) == (4 * (1000 + 21), 4 * 20)


def test_a_constant_in_a_list_takes_memory_although_nothing_reads_it():
    model = nn.ReLU()
    model.tables = [torch.zeros(1000)]
    assert trace_memory(model, torch.zeros(1, 10)) == (4 * (1000 + 20), 4 * 20)


def test_a_tensor_that_the_pass_makes_of_numbers_is_an_activation():
    class Made(nn.Module):
        def forward(self, x):
            return x.sum() + torch.tensor([0.0] * 1000).sum()

    assert trace_memory(Made(), torch.zeros(1, 10))[1] >= 4 * 1000


def test_a_storage_that_grows_counts_as_it_is():
    class Grows(nn.Module):
        def forward(self, x):
            return torch.empty(0).resize_(1000)

    # No operation reads the input: Python keeps it, but it isn't needed.
    assert trace_memory(Grows(), torch.zeros(1, 10)) == (4 * 1010, 4 * 1000)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_peak_on_a_gpu_has_weights_input_and_both_tensors_of_a_step():
    model = nn.Sequential(nn.Tanh(), nn.Sigmoid(), nn.PReLU(256))  # no kernel with a workspace
    candidate = Candidate("", torch.zeros(1, 256, 32, 32), lambda: model)
    image = 4 * 8 * 256 * 1024
    peak = CudaPeakMemory(batch_size=8).measure(candidate)
    assert peak == pytest.approx((3 * image + 4 * 256) / 1e6, rel=1e-3)
