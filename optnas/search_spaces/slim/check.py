"""Checks that a network without some channels computes what it should.

If a channel is the copy of another one, and whatever adds channels up takes half of each, then the
network computes the same without the copy (Chen et al., Net2Net, ICLR 2016, arXiv 1511.05641). So a
network with random weights and such copies is compared with the one from which the copies are
removed. Wrong positions, missing layers, and code that counts the channels itself show at once; a
normalisation over channels doesn't, because copies leave mean and variance as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from optnas.errors import InputError
from optnas.search_spaces.slim.graph import Port
from optnas.search_spaces.slim.layers import Side
from optnas.search_spaces.slim.slicing import Group, Slicer, cuts
from optnas.utils.inputs import Inputs, batch_of, call, is_one_example, map_inputs
from optnas.utils.random_state import seeded
from optnas.utils.trees import tensors_in


class Check:
    """Compares networks with copied channels, and networks without the copies.

    Args:
        model: The network, in evaluation mode; a copy with random weights takes its place.
        inputs: Its example inputs.
        ports: Its channels.

    Raises:
        InputError: Two runs of the network give different outputs.
    """

    def __init__(self, model: nn.Module, inputs: Inputs, ports: Mapping[Port, Side]) -> None:
        self._ports = ports
        self._inputs = inputs
        self._tolerance = 1e-3
        self._model = _with_random_weights(model)
        double = copy.deepcopy(self._model).double()
        inputs = map_inputs(lambda t: t.double() if t.is_floating_point() else t, inputs)
        try:
            run(double, inputs)
        except Exception:  # it makes tensors of float32 itself
            pass
        else:
            self._model, self._inputs, self._tolerance = double, inputs, 1e-6
        if not self._close(run(self._model, self._inputs), run(self._model, self._inputs)):
            raise InputError(
                f"two runs of this {type(model).__name__} in evaluation mode give different "
                "outputs, so it can't be checked that slimmer ones are right: make it deterministic"
            )

    def failure(self, groups: Sequence[Group]) -> str:
        """Why these groups can't be slimmed, all at the same time; empty if they can."""
        generator = np.random.default_rng(0)
        wide, kept = _untied(self._model), []
        for group in groups:
            factor = next(n for n in range(2, group.units + 1) if group.units % n == 0)
            order = generator.permutation(group.units)
            originals = order[: group.units // factor]
            for cut in cuts(wide, self._ports, group):
                whole = cut.tensor.detach().movedim(cut.dim, 0)
                entries = torch.from_numpy(cut.entries)
                values = whole[entries[originals]] / (factor if cut.reads else 1)
                for copies in order.reshape(factor, -1):
                    whole[entries[copies]] = values
            kept.append(np.isin(np.arange(group.units), originals))
        wanted = run(wide, self._inputs)
        try:
            found = run(Slicer(self._model, self._ports, groups).build(kept), self._inputs)
        except Exception as error:
            return f"with fewer of its channels, the network fails ({error_text(error)})"
        if [t.shape for t in found] != [t.shape for t in wanted]:
            return "with fewer of its channels, the outputs have other shapes"
        if not self._close(found, wanted):
            return "with fewer of its channels, the network doesn't compute what it should"
        return ""

    def failure_in_training(self, groups: Sequence[Group]) -> str:
        """What fails in training mode alone, as an auxiliary head that the check didn't see."""
        if not is_one_example(self._inputs):
            return ""
        inputs = batch_of(self._inputs, 2)  # for batch normalisation
        slim = Slicer(self._model, self._ports, groups).build(
            [np.arange(group.units) == 0 for group in groups]
        )
        try:
            run(copy.deepcopy(self._model).train(), inputs)
        except Exception:  # not for want of channels
            return ""
        try:
            run(slim.train(), inputs)
        except Exception as error:
            return error_text(error)
        return ""

    def _close(self, found: list[Tensor], wanted: list[Tensor]) -> bool:
        return all(
            (a.double() - b.double()).abs().max() <= self._tolerance * (b.double().abs().max())
            for a, b in zip(found, wanted, strict=True)
            if a.numel()
        )


def error_text(error: Exception) -> str:
    """Type and first line of an error."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"


def run(model: nn.Module, inputs: Inputs) -> list[Tensor]:
    """The tensors that a network returns, under a fixed seed and without gradients."""
    with torch.no_grad(), seeded(0):
        return list(tensors_in(call(model, inputs)))


def _with_random_weights(model: nn.Module) -> nn.Module:
    """A copy whose layers all have an effect; some of a trained network's scales may be zero."""
    model = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(0)
    named: list[tuple[str, Any]] = [*model.named_parameters(), *model.named_buffers()]
    for name, tensor in named:
        is_statistic = name.rpartition(".")[2] in ("running_mean", "running_var")
        if not tensor.is_floating_point() or not (isinstance(tensor, nn.Parameter) or is_statistic):
            continue
        noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float32)
        if name.endswith("running_var"):
            noise = 1 + 0.3 * noise.tanh()
        elif tensor.ndim > 1:
            noise = noise / max(tensor[0].numel(), 1) ** 0.5
        else:
            noise = 0.3 * noise + (0 if name.endswith(("bias", "running_mean")) else 1)
        tensor.data = noise.to(tensor.dtype)
    return model


def _untied(model: nn.Module) -> nn.Module:
    """A copy in which no two layers share a parameter."""
    model = copy.deepcopy(model)
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = nn.Parameter(parameter.detach().clone())
    return model
