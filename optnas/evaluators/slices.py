"""Finds the part of a shared tensor that is a network's parameter."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from optnas.errors import InputError

STACKS: dict[type[nn.Module], int] = {
    nn.LSTM: 4,
    nn.LSTMCell: 4,
    nn.GRU: 3,
    nn.GRUCell: 3,
    nn.MultiheadAttention: 3,
}
"""Modules that stack several matrices in one parameter, and their number."""
STACKED = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "in_proj")
"""The names of those parameters begin with one of these."""


@dataclass(frozen=True)
class Part:
    """A parameter of a network, and its place in the shared tensor of its key.

    The parameter begins at the first row, column and channel; a kernel lies in the middle of a
    larger one. If several matrices are stacked in one parameter (the gates of an LSTM, say), this
    holds for each of them.

    Attributes:
        name: Its qualified name, such as `layer1.conv.weight`.
        key: That of the shared tensor: the name, the type of the parameter's module, and the groups
            of a convolution. Parameters with different keys share nothing.
        shape: The parameter's shape.
        stack: The number of matrices that are stacked in it.
        kernel: Whether all dimensions but the first two are those of a kernel.
    """

    name: str
    key: str
    shape: torch.Size
    stack: int
    kernel: bool

    def of(self, tensor: Tensor) -> Tensor:
        """The parameter's part of a shared tensor that is at least as large in each dimension.

        Gradients flow into the tensor. The part is a view, except that stacked matrices smaller
        than the shared ones are copied.
        """
        found = self._blocks(tensor)[self._region(self._blocks(tensor).shape)]
        return found.flatten(0, 1) if self.stack > 1 else found

    def put(self, values: Tensor, tensor: Tensor) -> None:
        """Writes values of the parameter's shape into its part of a shared tensor."""
        blocks = self._blocks(tensor)
        blocks[self._region(blocks.shape)] = self._blocks(values)

    def covers(self, shape: torch.Size) -> bool:
        """Whether a shared tensor of this shape is at least as large in each dimension."""
        return all(n <= m for n, m in zip(self.shape, shape, strict=True))

    def grown(self, shape: torch.Size) -> torch.Size:
        """The smallest shape that holds both the parameter and a tensor of this shape.

        Raises:
            InputError: They have different numbers of dimensions.
        """
        if len(shape) != len(self.shape):
            raise InputError(
                f"no weights can be shared: the parameter {self.name} has the shape "
                f"{tuple(self.shape)} in one network and {tuple(shape)} in another, and neither "
                "is a slice of the other: give it another name where its dimensions are others"
            )
        return torch.Size(map(max, self.shape, shape))

    def _blocks(self, tensor: Tensor) -> Tensor:
        return tensor.unflatten(0, (self.stack, -1)) if self.stack > 1 else tensor

    def _region(self, full: torch.Size) -> tuple[slice, ...]:
        shape = self.shape
        if self.stack > 1:
            shape = torch.Size((self.stack, shape[0] // self.stack, *shape[1:]))
        starts = [(m - n) // 2 if self.kernel and d > 1 else 0 for d, (n, m) in _pairs(shape, full)]
        return tuple(slice(start, start + n) for start, n in zip(starts, shape, strict=True))


def _pairs(shape: torch.Size, full: torch.Size) -> enumerate[tuple[int, int]]:
    return enumerate(zip(shape, full, strict=True))


def parts(model: nn.Module) -> list[Part]:
    """The parameters of a network; tied ones appear once, under their first name."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    found = []
    for module in model.modules():
        kind = type(module).__name__
        if isinstance(module, _ConvNd) and module.groups > 1:
            depthwise = module.groups == module.in_channels
            kind += " depthwise" if depthwise else f" of {module.groups} groups"
        for own, parameter in module.named_parameters(recurse=False):
            name = names.pop(parameter, None)
            if name is not None:
                stack = _stack(module) if own.startswith(STACKED) else 1
                kernel = isinstance(module, _ConvNd)
                found.append(Part(name, f"{name} ({kind})", parameter.shape, stack, kernel))
    return found


def _stack(module: nn.Module) -> int:
    return next((n for kind, n in STACKS.items() if isinstance(module, kind)), 1)
