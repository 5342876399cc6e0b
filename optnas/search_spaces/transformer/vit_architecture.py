"""Vision transformers as records, and their layers."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from optnas.search_spaces.staged import Shape
from optnas.search_spaces.transformer.layer import TransformerLayer, layer_settings, layers_text
from optnas.search_spaces.transformer.modules import (
    DEVIATION,
    Attention,
    Positions,
    TransformerBlock,
    initialize,
)

POOLS = ("class", "mean")


@dataclass(frozen=True)
class ViTArchitecture:
    """A vision transformer. Its string lists the heads and the MLP ratios of its layers.

    Attributes:
        patch_size: Height and width of the patches that an image is cut into.
        embedding: Features of a patch.
        layers: The layers.
        pool: `class` (a further position, whose features are classified) or `mean` (of all).
        head_width: Features of a head.
    """

    patch_size: int
    embedding: int
    layers: tuple[TransformerLayer, ...]
    pool: str = "class"
    head_width: int = 64

    def __str__(self) -> str:
        return (
            f"vit patch{self.patch_size} {self.embedding} {self.pool} | "
            f"{layers_text(self.layers, self.head_width)}"
        )

    @property
    def settings(self) -> dict[str, Any]:
        """The settings by parameter name; fixed ones too."""
        return {
            "patch_size": self.patch_size,
            "embedding": self.embedding,
            "pool": self.pool,
            "head_width": self.head_width,
            **layer_settings(self.layers),
        }


class ClassToken(nn.Module):
    """Appends a learned position, whose features are classified in the end.

    Args:
        width: Features of a position.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, 1, width).normal_(0, DEVIATION))

    def forward(self, x: Tensor) -> Tensor:
        """Sequences `(batch, length, width)` to `(batch, length + 1, width)`."""
        return torch.cat((x, self.weight.expand(x.shape[0], -1, -1)), 1)


class Patches(nn.Module):
    """Cuts images into patches, and embeds them with their positions.

    A class token comes last, so that patches have the same positions with and without it.

    Args:
        shape: Channels, height and width of an image.
        size: Height and width of a patch.
        width: Features of a patch.
        class_token: Whether there is one.
    """

    def __init__(self, shape: Shape, size: int, width: int, *, class_token: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(shape[0], width, size, size)
        self.class_token = ClassToken(width) if class_token else None
        number = (shape[1] // size) * (shape[2] // size)
        self.positions = Positions(number + class_token, width)

    def forward(self, x: Tensor) -> Tensor:
        """Images `(batch, channels, height, width)` to sequences `(batch, patches, features)`."""
        patches = self.conv(x).flatten(2).transpose(1, 2)
        if self.class_token is not None:
            patches = self.class_token(patches)
        found: Tensor = self.positions(patches)
        return found


class ClassPool(nn.Module):
    """The features of the class token, which is the last position."""

    def forward(self, x: Tensor) -> Tensor:
        """Sequences `(batch, length, width)` to `(batch, width)`."""
        return x[:, -1]


class MeanPool(nn.Module):
    """The mean over all positions."""

    def forward(self, x: Tensor) -> Tensor:
        """Sequences `(batch, length, width)` to `(batch, width)`."""
        return x.mean(1)


def vit_network(architecture: ViTArchitecture, shape: Shape, outputs: int) -> nn.Module:
    """The whole network for images of a shape, its layers named by what they are.

    Patches have their size in the name: networks with other ones share neither their convolution
    nor their positions.
    """
    width, size = architecture.embedding, architecture.patch_size
    patches = Patches(shape, size, width, class_token=architecture.pool == "class")
    blocks = [
        TransformerBlock(
            width, layer.hidden(width), Attention(width, layer, architecture.head_width)
        )
        for layer in architecture.layers
    ]
    classifier = nn.Linear(width, outputs)
    initialize(blocks, [classifier])
    modules: dict[str, nn.Module] = {f"patch{size}": patches}
    modules |= {f"layer{i}": block for i, block in enumerate(blocks, 1)}
    modules["norm"] = nn.LayerNorm(width)
    modules["pool"] = ClassPool() if architecture.pool == "class" else MeanPool()
    modules["classifier"] = classifier
    return nn.Sequential(OrderedDict(modules))
