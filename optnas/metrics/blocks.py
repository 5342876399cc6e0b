"""The outputs of a network's blocks, found in any network by its modules."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm

from optnas.metrics.untrained import ACTIVATIONS
from optnas.utils.inputs import Inputs, call, map_inputs

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.TransformerEncoder)
"""Modules whose parts follow each other."""
FINISHING = (
    *ACTIVATIONS, _BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm,
    nn.LocalResponseNorm,
)  # fmt: skip
"""Modules that belong to the layer before them."""
LEAST = 2
"""Modules are opened until there are this many blocks before the last one."""


def block_outputs(model: nn.Module, inputs: Inputs, examples: int) -> list[Tensor]:
    """The outputs of a network's blocks for a batch, in the order of the calls.

    The parts of `nn.Sequential`, `nn.ModuleList` and of the network itself are its modules. Such a
    module is a block if it has parts of its own: a residual block, a cell. A layer with weights is
    a block together with the normalisations and activations that follow it. The last block makes
    the network's outputs and doesn't count. If fewer than two count, the parts of the blocks are
    the modules, and so on. A block that hands on its input doesn't count either.

    Changes the model: convolutions and linear layers get weights from N(0, 2 / fan-in) and no bias,
    as in the paper, so that what is compared is architectures and not their initialisation.

    Args:
        model: The network, in training mode.
        inputs: A batch.
        examples: The number of examples in it.

    Returns:
        Tensors of shape `(examples, *positions, channels)` in one autograd graph: `positions` are
        those of an image or a sequence, if there are any.
    """
    model.apply(_initialize)
    found: list[Tensor] = []
    open_layer = False

    def look(module: nn.Module, args: Any, output: Any) -> Any:
        nonlocal open_layer
        parts = any(True for _ in module.children())
        if not (parts or isinstance(module, FINISHING) or _has_weights(module)):
            return None  # pooling, dropout
        tensor = _first(output)
        if tensor is None or tensor.ndim < 2 or len(tensor) != examples:
            return None
        channels = _channels(module, tensor)
        block = tensor if channels == tensor.ndim - 1 else tensor.movedim(channels, -1)
        if isinstance(module, FINISHING):
            if not (open_layer and found[-1].shape == block.shape):
                return None
            found[-1] = block
        elif found and found[-1].shape == block.shape and torch.equal(found[-1], block):
            return None  # it hands on what it was given
        else:
            open_layer = not parts
            found.append(block)
        # What follows takes a copy: gradients pass through `block`, and code that changes its
        # input in place, such as nn.ReLU(inplace=True), doesn't change that.
        return block.movedim(-1, channels).clone() if isinstance(output, Tensor) else None

    with ExitStack() as hooks, torch.enable_grad():
        for module in _modules(model):
            hooks.callback(module.register_forward_hook(look).remove)
        call(model, map_inputs(_with_gradient, inputs))
    return found[:-1]


def _modules(model: nn.Module) -> list[nn.Module]:
    """The modules whose outputs `block_outputs` looks at."""
    level = _opened(model.children()) or [model]
    while sum(map(_is_block, level)) - 1 < LEAST:
        parts = [m for m in level if any(True for _ in m.children())]
        if not parts:
            break
        level = _opened(part for m in level for part in (m.children() if m in parts else [m]))
    return list(dict.fromkeys(level))


def _opened(modules: Iterable[nn.Module]) -> list[nn.Module]:
    """The modules, containers replaced by what they hold."""
    found: list[nn.Module] = []
    for module in modules:
        plain = any(isinstance(module, c) and type(module).forward is c.forward for c in CONTAINERS)
        found += _opened(module.children()) if plain else [module]
    return found


def _is_block(module: nn.Module) -> bool:
    if isinstance(module, FINISHING):
        return False
    return any(True for _ in module.children()) or _has_weights(module)


def _has_weights(module: nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))


def _initialize(module: nn.Module) -> None:
    if isinstance(module, (_ConvNd, nn.Linear)):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _first(values: Any) -> Tensor | None:
    """The first floating-point tensor; None without one."""
    for value in values if isinstance(values, (tuple, list)) else (values,):
        if isinstance(value, Tensor) and value.is_floating_point():
            return value
    return None


def _channels(module: nn.Module, tensor: Tensor) -> int:
    """The dimension of the channels in a module's output.

    It is the second one if the module holds a convolution, normalisation or pooling of as many
    dimensions as the output has positions, or if it holds no linear layer and the output has the
    shape of a batch of images. Else it is the last one.
    """
    positions = tensor.ndim - 2
    kinds = {kind.__name__ for part in module.modules() for kind in type(part).__mro__}
    if any(name.endswith(f"{positions}d") for name in kinds):
        return 1
    return 1 if positions > 1 and not kinds & {"Linear", "LayerNorm"} else tensor.ndim - 1


def _with_gradient(tensor: Tensor) -> Tensor:
    """The tensor, so that gradients reach the first block, and code may change it in place."""
    return tensor.detach().requires_grad_().clone() if tensor.is_floating_point() else tensor
