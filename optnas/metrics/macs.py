"""Multiply-accumulates, and floating-point operations.

**macs** = multiply-accumulates of convolutions, matrix products, recurrent layers and attention
(QKᵀ and AV included) for one example; no bias, normalisation, activation, pooling or softmax.
**flops** = 2 · macs.

PyTorch's `torch.utils.flop_counter` does the counting, with everything that hides operations from
it switched off: the fused path of multi-head attention, the fused attention kernels, and oneDNN,
whose recurrent layers it can't see. `thop`, which many papers used, counts modules instead: it
misses functional calls and attention and adds normalisation and pooling; its number is kept
beside ours as `macs_thop` in the details, never as the metric.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from optnas.candidate import Candidate, Inputs, call
from optnas.metrics.base import Metric


class Macs(Metric):
    """Multiply-accumulates for one example (see the module's docstring for the definition)."""

    @property
    def name(self) -> str:
        """`macs`."""
        return "macs"

    def measure(self, candidate: Candidate) -> float:
        """Counts one inference pass over the example inputs."""
        return float(_counts(candidate)["macs"])


class Flops(Metric):
    """Floating-point operations for one example: 2 · macs."""

    @property
    def name(self) -> str:
        """`flops`."""
        return "flops"

    def measure(self, candidate: Candidate) -> float:
        """Counts one inference pass over the example inputs."""
        return 2.0 * float(_counts(candidate)["macs"])


def _counts(candidate: Candidate) -> dict[str, Any]:
    """Both counts of a candidate, made once."""
    if "macs" not in candidate.details:
        candidate.details["macs"] = {
            "macs": count_macs(candidate.model, candidate.example_inputs),
            "macs_thop": count_macs_thop(candidate.model, candidate.example_inputs),
        }
    counts: dict[str, Any] = candidate.details["macs"]
    return counts


def count_macs(model: nn.Module, inputs: Inputs) -> int:
    """Counts the multiply-accumulates of `model(inputs)` in evaluation mode.

    Args:
        model: Left as it was: a copy is run.
        inputs: One batch element.

    Returns:
        The count, under the definition in the module's docstring.
    """
    model = copy.deepcopy(model).eval()
    with torch.no_grad(), _nothing_hidden(), FlopCounterMode(display=False) as counter:
        call(model, inputs)
    return int(counter.get_total_flops()) // 2


def count_macs_thop(model: nn.Module, inputs: Inputs) -> int | None:
    """What thop counts for a model; None where it can't (inputs by name, or an error in it)."""
    if isinstance(inputs, Mapping):
        return None
    with warnings.catch_warnings():
        # thop imports distutils, and warns of what it doesn't know.
        warnings.simplefilter("ignore")
        import thop

        positional = (inputs,) if isinstance(inputs, Tensor) else inputs
        # In a container of our own: thop counts nothing for a layer that is the whole model.
        wrapped = _Root(copy.deepcopy(model).eval())
        try:
            macs, _ = thop.profile(wrapped, inputs=positional, verbose=False)
        except Exception:  # a fault of thop's must not end a trial that doesn't ask for its number
            return None
    return int(macs)


@contextmanager
def _nothing_hidden() -> Iterator[None]:
    """Makes PyTorch run the operations that its counter knows."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    onednn = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch._C._set_mkldnn_enabled(onednn)
        torch.backends.mha.set_fastpath_enabled(fast_path)


class _Root(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *args: Tensor) -> Tensor:
        output: Tensor = self.model(*args)
        return output
