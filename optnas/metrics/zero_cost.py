"""Zero-cost proxies: what an untrained network says about how well it will train.

Each is known for one pass or two through the network with its initial weights. None is an estimate
of a loss: they rank architectures, and are features for a model that has seen losses.

Sources: synflow: Tanaka et al., Pruning neural networks without any data by iteratively conserving
synaptic flow, NeurIPS 2020 (arXiv 2006.05467), equation 2. naswot: Mellor et al., Neural
architecture search without training, ICML 2021 (arXiv 2006.04647), equation 2. grad_norm:
Abdelfattah et al., Zero-cost proxies for lightweight NAS, ICLR 2021 (arXiv 2101.08134). live_params
is ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from optnas.candidate import Candidate, Inputs, call, map_inputs, seeded

BATCH = 8
"""Examples of noise that naswot and grad_norm look at."""
ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.ELU, nn.PReLU)


def zero_cost(candidate: Candidate) -> dict[str, float]:
    """The proxies of a candidate, on the CPU, with noise for data.

    - `synflow`: the natural logarithm of Σ|θ · ∂R/∂θ|, where R is the sum of the outputs for inputs
      of ones, all weights are replaced by their absolute values, and normalisation is by fresh
      statistics (which change nothing).
    - `live_params`: the parameters of those tensors through which anything flows there: what lies
      in a branch that ends nowhere, or begins nowhere, isn't counted.
    - `naswot`: the logarithm of |det K|, K the number of activations in which two examples agree in
      their sign.
    - `grad_norm`: the sum of the Euclidean norms of the parameters' gradients, for a random linear
      function of the outputs in place of a loss.

    Returns:
        The values by name. NaN stands for what can't be computed for this network: a recurrent
        layer or an integer input may have no such gradient, a network without activation modules
        has no naswot.
    """
    with seeded(0):
        model, inputs = candidate.to_measure(), candidate.example_inputs
        noisy = _noisy(model.train(), map_inputs(_noise, inputs))
        return _synflow(model, inputs) | noisy


def _synflow(model: nn.Module, inputs: Inputs) -> dict[str, float]:
    model = model.double().eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase):
            module.reset_running_stats()
    nothing = {"synflow": math.nan, "live_params": math.nan}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    parameters = [p for p in model.parameters() if p.requires_grad]
    try:
        outputs = _outputs(call(model, map_inputs(_ones, inputs)))
        gradients = torch.autograd.grad(outputs.sum(), parameters, allow_unused=True)
    except (RuntimeError, ValueError, TypeError):
        return nothing
    flow, live = 0.0, 0
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is not None and bool(gradient.any()):
            flow += float((parameter * gradient).abs().sum().detach())
            live += parameter.numel()
    return {
        "synflow": math.log(flow) if 0 < flow < math.inf else math.nan,
        "live_params": float(live),
    }


def _noisy(model: nn.Module, batch: Inputs) -> dict[str, float]:
    """Naswot and grad_norm, from one pass forward and one back."""
    agreement = torch.zeros(BATCH, BATCH, dtype=torch.float64)

    def look(module: nn.Module, inputs: object, outputs: Tensor) -> None:
        if len(outputs) == BATCH:
            signs = (outputs.detach().flatten(1) > 0).double() * 2 - 1
            agreement.add_((signs @ signs.T + signs.shape[1]) / 2)

    hooks = [m.register_forward_hook(look) for m in model.modules() if isinstance(m, ACTIVATIONS)]
    parameters = [p for p in model.parameters() if p.requires_grad]
    try:
        outputs = _outputs(call(model, batch))
        readout = (outputs * torch.randn_like(outputs)).sum() / BATCH
        gradients = torch.autograd.grad(readout, parameters, allow_unused=True)
    except (RuntimeError, ValueError, TypeError):
        return {"naswot": math.nan, "grad_norm": math.nan}
    finally:
        for hook in hooks:
            hook.remove()
    norm = sum(float(g.norm()) for g in gradients if g is not None)
    determinant = float(torch.linalg.slogdet(agreement).logabsdet)
    return {
        "naswot": determinant if math.isfinite(determinant) else math.nan,
        "grad_norm": math.log(norm) if 0 < norm < math.inf else math.nan,
    }


def _outputs(outputs: object) -> Tensor:
    """The first floating-point tensor of what a network returned."""
    if isinstance(outputs, Tensor):
        return outputs
    values = outputs.values() if isinstance(outputs, Mapping) else outputs
    if isinstance(values, Iterable):
        for value in values:
            if isinstance(value, Tensor) and value.is_floating_point():
                return value
    raise TypeError("a network must return a tensor")


def _ones(tensor: Tensor) -> Tensor:
    return torch.ones_like(tensor).double() if tensor.is_floating_point() else tensor


def _noise(tensor: Tensor) -> Tensor:
    """A batch of noise; of integers, those of the example in random order."""
    if tensor.is_floating_point():
        return torch.randn(BATCH, *tensor.shape[1:], dtype=tensor.dtype)
    flat = tensor.flatten()
    return flat[torch.randint(len(flat), (BATCH, *tensor.shape[1:]))]
