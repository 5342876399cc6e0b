"""Gradients, synaptic flow and activation codes of an untrained network, for zero-cost proxies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from optnas.utils.inputs import Inputs, batch_shape, call, map_inputs

RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.ELU, nn.PReLU)
ACTIVATIONS = (
    *RECTIFIERS, nn.CELU, nn.SELU, nn.Mish, nn.Softplus, nn.Tanh, nn.Hardtanh, nn.Sigmoid,
)  # fmt: skip
"""Activation modules with two regimes that meet at 0."""

Gradients = list[tuple[nn.Parameter, Tensor]]


def synaptic_flow(model: nn.Module, inputs: Inputs) -> Gradients:
    """The gradients of the sum of the outputs, for inputs of ones and absolute weights.

    Changes the model: its weights become absolute, its running statistics are reset so that
    normalisation has no effect, and it becomes double precision, because products over many layers
    overflow in single precision.

    Source: Tanaka et al., Pruning neural networks without any data by iteratively conserving
    synaptic flow, NeurIPS 2020 (arXiv 2006.05467), equation 2.

    Args:
        model: The network.
        inputs: One batch element; only its shape and type matter.
    """
    model = model.double().eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase):
            module.reset_running_stats()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    return gradients(model, first_output(call(model, map_inputs(_ones, inputs))).sum())


def gradients(model: nn.Module, value: Tensor) -> Gradients:
    """The parameters that a scalar depends on, each with its gradient."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    return [(p, g) for p, g in zip(parameters, found, strict=True) if g is not None]


def saliency(found: Gradients) -> float:
    """Σ|θ · ∂/∂θ| over all parameters."""
    return sum(float((p.detach() * g).abs().sum()) for p, g in found)


def norms(found: Gradients) -> float:
    """The sum of the Euclidean norms of the parameters' gradients."""
    return sum(float(g.norm()) for _, g in found)


@contextmanager
def activation_agreement(
    model: nn.Module, examples: int, kinds: tuple[type[nn.Module], ...] = ACTIVATIONS
) -> Iterator[Tensor]:
    """Counts for each pair of examples in how many activations they agree, while passes run.

    Two examples agree in an activation if its input is above 0 for both, or for neither. Source:
    Mellor et al., Neural architecture search without training, ICML 2021 (arXiv 2006.04647),
    equation 2.

    Args:
        model: The network whose passes are observed.
        examples: Number of examples in the batch.
        kinds: The activation modules that count.

    Yields:
        The counts, of shape `(examples, examples)`; all 0 before the first pass.
    """
    counts = torch.zeros(examples, examples, dtype=torch.float64)

    def look(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        if args and args[0].ndim and len(args[0]) == examples:
            signs = (args[0].detach().flatten(1) > 0).double() * 2 - 1
            counts.add_((signs @ signs.T + signs.shape[1]) / 2)

    hooks = [m.register_forward_pre_hook(look) for m in model.modules() if isinstance(m, kinds)]
    try:
        yield counts
    finally:
        for hook in hooks:
            hook.remove()


def first_output(outputs: object) -> Tensor:
    """The first floating-point tensor in a network's outputs; raises TypeError without one."""
    if isinstance(outputs, Tensor):
        return outputs
    values = outputs.values() if isinstance(outputs, Mapping) else outputs
    if isinstance(values, Iterable):
        for value in values:
            if isinstance(value, Tensor) and value.is_floating_point():
                return value
    raise TypeError("a network must return a tensor")


def noise(examples: int) -> Callable[[Tensor], Tensor]:
    """A function from one example to a batch of noise.

    Integer noise consists of the example's own values, drawn with replacement. The function raises
    InputError for an input that has no batch dimension (see `batch_shape`).
    """

    def make(tensor: Tensor) -> Tensor:
        shape = batch_shape(tensor, examples)
        if tensor.is_floating_point():
            return torch.randn(shape, dtype=tensor.dtype)
        flat = tensor.flatten()
        return flat[torch.randint(len(flat), shape)]

    return make


def random_readout(outputs: Tensor, examples: int) -> Tensor:
    """A stand-in for a loss: a random linear function of the outputs, averaged over examples."""
    return (outputs * torch.randn_like(outputs)).sum() / examples


def _ones(tensor: Tensor) -> Tensor:
    return torch.ones_like(tensor).double() if tensor.is_floating_point() else tensor.clone()
