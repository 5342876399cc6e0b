"""The memory layout that a network is trained in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from optnas.utils.inputs import Inputs, call, map_inputs
from optnas.utils.random_state import preserved

_REFUSED = "view size is not compatible with input tensor's size and stride"
"""How PyTorch's error begins where code such as `x.view(len(x), -1)` gets another layout."""


def memory_format(model: nn.Module, device: torch.device, precision: str) -> torch.memory_format:
    """The memory layout for images and convolutions.

    On a CPU, channels last makes training faster if a convolution has more than 8 channels (a
    vector's width), and slower otherwise; on CUDA the kernels for 16 bits need it. Networks
    with a convolution that would spoil the process's memory in it keep the usual layout.
    """
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    widths = [m.out_channels for m in convolutions]
    if (
        device.type == "cpu"
        and max(widths, default=0) > 8
        and not any(map(_overruns, convolutions))
    ):
        return torch.channels_last
    if device.type == "cuda" and precision in ("bfloat16", "float16"):
        return torch.channels_last
    return torch.contiguous_format


def _overruns(convolution: nn.Conv2d) -> bool:
    """Whether the gradient for images with channels last writes behind its memory.

    So it does on CPUs in PyTorch 2.13 for 1×1 convolutions with a stride that read fewer channels
    than a vector holds: the process ends later, at any place ("corrupted size vs. prev_size").
    """
    vector = 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8
    pointwise = convolution.kernel_size == (1, 1) and convolution.groups == 1
    return pointwise and max(convolution.stride) > 1 and convolution.in_channels < vector


def laid_out(x: Tensor, layout: torch.memory_format) -> Tensor:
    """Images in a layout; any other tensor as it is."""
    return x.contiguous(memory_format=layout) if x.ndim == 4 else x


@torch.no_grad()
def accepts(model: nn.Module, example: Inputs, layout: torch.memory_format) -> bool:
    """Whether a model's code takes images in a layout; some was written for the usual one alone.

    Args:
        model: The model, in this layout, on the example's device.
        example: Inputs of one example.
        layout: The layout.
    """
    training = model.training
    with preserved():
        try:
            call(model.eval(), map_inputs(lambda x: laid_out(x, layout), example))
        except Exception as error:  # any other one comes again, where it is told
            return not str(error).startswith(_REFUSED)
        finally:
            model.train(training)
    return True
