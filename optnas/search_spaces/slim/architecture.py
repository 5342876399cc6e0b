"""Record of an architecture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SlimArchitecture:
    """What is left of a network.

    Attributes:
        widths: Pairs of a group's name and its share of the channels, in the network's order,
            without those of which all channels stay.
        dropped: The names of the blocks that are left out, in the network's order.
        resolution: Height and width to which images are resized first; None leaves them.
    """

    widths: tuple[tuple[str, float], ...]
    dropped: tuple[str, ...] = ()
    resolution: int | None = None

    def __str__(self) -> str:
        resized = "" if self.resolution is None else f"{self.resolution}px "
        widths = " ".join(f"{name}:{width:g}" for name, width in self.widths) or "none"
        without = f" without {' '.join(self.dropped)}" if self.dropped else ""
        return f"slim {resized}{widths}{without}"
