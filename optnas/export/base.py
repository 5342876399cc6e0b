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
        name: The format's name.
        suffix: The end of the files' names; the format's name if it is empty.
        runs_with: What runs such a file.
        packages: Packages whose versions matter to the file, in addition to PyTorch.
        rounds: Whether the file computes with rounded numbers, so that its outputs differ from the
            network's.
    """

    name: str
    suffix: str = ""
    runs_with: str
    packages: tuple[str, ...] = ()
    rounds: bool = False

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
