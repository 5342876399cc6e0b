"""The contract of a file format for trained networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.text import Text
from torch import Tensor, nn

from optnas.export.signature import named_outputs
from optnas.export.usage import Usage
from optnas.utils.inputs import Inputs, call

Run = Callable[[Inputs], dict[str, Tensor]]
"""Runs a network on a batch and returns all its outputs, by name and in order."""


@dataclass(frozen=True)
class Network:
    """A trained network to write.

    Attributes:
        model: The network, in evaluation mode, on the CPU.
        inputs: One batch element.
        batch_size: The only batch size that the file will accept; None for any.
        dynamic: Further dimensions that may have any size: names of dimensions by their number, by
            the input's name.
    """

    model: nn.Module
    inputs: Inputs
    batch_size: int | None = None
    dynamic: Mapping[str, Mapping[int, str]] = field(default_factory=dict)


class Format(ABC):
    """A file format for trained networks.

    Attributes:
        name: The format's name; also the file's suffix.
        runs_with: What runs such a file.
        packages: Packages whose versions matter to the file, in addition to PyTorch.
    """

    name: str
    runs_with: str
    packages: tuple[str, ...] = ()

    @abstractmethod
    def write(self, network: Network, path: Path, facts: Mapping[str, str]) -> None:
        """Writes a network.

        Args:
            network: The network.
            path: The file.
            facts: Texts to store in the file, by name.

        Raises:
            InputError: This network can't be written in this format, or packages are missing.
        """

    @abstractmethod
    def load(self, path: Path, fresh: Callable[[], nn.Module]) -> Run:
        """Loads a file that `write` has written.

        Args:
            path: The file.
            fresh: Makes the network with untrained weights, for formats that hold only weights.
        """

    @abstractmethod
    def usage(self, use: Usage) -> str:
        """Python code that loads the file and runs it."""


def runner(model: Callable[..., Any]) -> Run:
    """Runs a PyTorch model, without gradients."""
    return lambda inputs: named_outputs(outputs_of(model, inputs))


def outputs_of(model: Callable[..., Any], inputs: Inputs) -> Any:
    """What a PyTorch model returns, without gradients."""
    with torch.no_grad():
        return call(model, inputs)


def first_line(error: Exception) -> str:
    """The type of an error and the first line of its message, without codes for colours."""
    message = Text.from_ansi(str(error)).plain
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
