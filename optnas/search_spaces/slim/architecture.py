"""Record of an architecture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SlimArchitecture:
    """The width of each group of channels, by the name of its first layer.

    Attributes:
        widths: Pairs of name and share of the channels, in the network's order, without those of
            which all channels stay.
    """

    widths: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        return "slim " + (" ".join(f"{name}:{width:g}" for name, width in self.widths) or "none")
