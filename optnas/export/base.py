"""The contract of a file format for trained networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import nn

from optnas.export.usage import Usage
from optnas.utils.network import Network, Run


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
