"""A linear layer with a low-rank adapter.

Source: Hu et al., LoRA: low-rank adaptation of large language models, ICLR 2022 (arXiv 2106.09685),
section 4.1.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.utils import parametrize

from optnas.candidate import copy_of
from optnas.errors import InputError

CONV1D = "transformers.pytorch_utils.Conv1D"
"""The linear layer of GPT-2, whose weight has the shape (inputs, outputs)."""


class LoRALinear(nn.Module):
    """A linear layer and an adapter at its side: `base_layer(x) + alpha / rank · B A x`.

    A is drawn as the weights of a linear layer are, and B is zero, so that the outputs are at first
    those of the layer alone. The names are those of PEFT.

    Args:
        base_layer: The layer, as it is; an `nn.Linear`, or a `Conv1D` of transformers.
        rank: The number of A's rows and B's columns, above 0.
        alpha: Scales the adapter, divided by the rank.

    Attributes:
        base_layer: As given.
        lora_A: A of shape `(rank, inputs)`, a linear layer without bias.
        lora_B: B of shape `(outputs, rank)`, a linear layer without bias.
        scale: `alpha / rank`.
    """

    def __init__(self, base_layer: nn.Module, rank: int, alpha: float) -> None:
        super().__init__()
        inputs, outputs = sizes(base_layer)
        weight: Any = base_layer.weight
        like: dict[str, Any] = {"bias": False, "device": weight.device, "dtype": weight.dtype}
        self.base_layer = base_layer
        self.lora_A = nn.Linear(inputs, rank, **like)
        self.lora_B = nn.Linear(rank, outputs, **like)
        nn.init.zeros_(self.lora_B.weight)
        self.scale = alpha / rank
        # An nn.TransformerEncoderLayer in evaluation mode reads the weights of its layers, and
        # doesn't call them, unless one of them has a hook.
        self.register_forward_pre_hook(_nothing)

    @property
    def weight(self) -> Tensor:
        """The weight of the layer: some models ask for its type and device."""
        return cast(Tensor, self.base_layer.weight)

    @property
    def bias(self) -> Tensor | None:
        """The bias of the layer."""
        return cast("Tensor | None", self.base_layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Adds the adapter's output to the layer's."""
        found: Tensor = self.base_layer(x) + self.scale * self.lora_B(self.lora_A(x))
        return found


def sizes(layer: nn.Module) -> tuple[int, int]:
    """The numbers of a linear layer's inputs and outputs."""
    weight: Any = layer.weight
    rows, columns = weight.shape
    return (rows, columns) if is_conv1d(layer) else (columns, rows)


def is_conv1d(layer: nn.Module) -> bool:
    """Whether a layer is the `Conv1D` of transformers, which needn't be installed."""
    return f"{type(layer).__module__}.{type(layer).__qualname__}" == CONV1D


@torch.no_grad()
def merge_adapters(model: nn.Module) -> nn.Module:
    """A copy of a network in which each adapter is added to the weight of its layer.

    It computes the same, up to rounding, with the layers, MACs and latency of the network that was
    adapted: W + alpha / rank · B A takes the place of W.

    Args:
        model: A network of a `LoRASpace`, trained.

    Returns:
        The copy, in evaluation mode. A weight that was tied to another one isn't any more.

    Raises:
        InputError: An adapted layer computes more than a product with its weight, and its bias.

    Example:
        ```python
        import torch
        from optuna.trial import FixedTrial

        import optnas
        from optnas.search_spaces import merge_adapters

        space = optnas.LoRASpace(torch.nn.Linear(8, 4), torch.zeros(1, 8), "*", train=())
        adapted = space.build(space.suggest(FixedTrial({"rank": 2})))
        print(merge_adapters(adapted))  # Linear(in_features=8, out_features=4, bias=True)
        ```
    """
    merged = copy_of(model)
    return replaced(merged, {m: _merged(m) for m in merged.modules() if isinstance(m, LoRALinear)})


def _merged(adapted: LoRALinear) -> nn.Module:
    layer = adapted.base_layer
    plain = is_conv1d(layer) or type(layer).forward is nn.Linear.forward
    hooks = layer._forward_hooks or layer._forward_pre_hooks
    if not plain or hooks or parametrize.is_parametrized(layer):
        raise InputError(
            f"an adapter can't be added to the weight of a {type(layer).__name__} that computes "
            "more than x Wᵀ + b (a forward of its own, a hook, or a parametrization such as "
            "weight_norm): use the network with its adapters"
        )
    change = adapted.scale * adapted.lora_B.weight @ adapted.lora_A.weight
    weight = adapted.weight + (change.T if is_conv1d(layer) else change)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer


def freeze_statistics(model: nn.Module) -> None:
    """Lets normalisations that aren't trained as a whole use their statistics, and keep them."""
    for module in model.modules():
        if isinstance(module, _NormBase) and module.running_mean is not None:
            own = list(module.parameters(recurse=False))
            if not own or not all(parameter.requires_grad for parameter in own):
                module.register_forward_pre_hook(_in_evaluation)


def _in_evaluation(module: nn.Module, inputs: object) -> None:
    module.eval()


def replaced(model: nn.Module, by: dict[nn.Module, nn.Module]) -> nn.Module:
    """The model with other modules in place of some, wherever they occur; changed in place."""
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child is not None and child in by and parent not in by.values():
                parent._modules[name] = by[child]
    return by.get(model, model)


def _nothing(module: nn.Module, inputs: object) -> None:
    """A hook without an effect of its own."""
