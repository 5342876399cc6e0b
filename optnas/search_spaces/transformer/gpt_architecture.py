"""Decoders as records, and their networks."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from torch import nn

from optnas.search_spaces.transformer.layer import TransformerLayer, layer_settings, layers_text
from optnas.search_spaces.transformer.modules import (
    Attention,
    Positions,
    TransformerBlock,
    initialize,
    norm,
)

POSITIONS = ("learned", "rotary")


@dataclass(frozen=True)
class GPTArchitecture:
    """A decoder. Its string lists the heads and the MLP ratios of its layers.

    Attributes:
        embedding: Features of a position.
        layers: The layers.
        bias: Whether linear layers, and normalisation with a mean, have one; the head has none.
        norm: `layer_norm` or `rms_norm`.
        positions: `learned` or `rotary`.
        tied: Whether the head has the weights of the tokens' embedding.
        head_width: Features of a head.
    """

    embedding: int
    layers: tuple[TransformerLayer, ...]
    bias: bool = True
    norm: str = "layer_norm"
    positions: str = "learned"
    tied: bool = True
    head_width: int = 64

    def __str__(self) -> str:
        words = [f"gpt {self.embedding} {self.positions} {self.norm}"]
        words += ["bias"] * self.bias + ["tied"] * self.tied
        return f"{' '.join(words)} | {layers_text(self.layers, self.head_width)}"

    @property
    def settings(self) -> dict[str, Any]:
        """The settings by parameter name; fixed ones too."""
        return {
            "embedding": self.embedding,
            "bias": self.bias,
            "norm": self.norm,
            "positions": self.positions,
            "tied": self.tied,
            "head_width": self.head_width,
            **layer_settings(self.layers),
        }


def gpt_network(architecture: GPTArchitecture, vocabulary: int, length: int) -> nn.Module:
    """The whole network, its layers named by what they are."""
    width, bias = architecture.embedding, architecture.bias
    rotary = length if architecture.positions == "rotary" else None
    tokens = nn.Embedding(vocabulary, width)
    blocks = [
        TransformerBlock(
            width,
            layer.hidden(width),
            Attention(width, layer, architecture.head_width, bias=bias, causal=True, rotary=rotary),
            architecture.norm,
            bias=bias,
        )
        for layer in architecture.layers
    ]
    # A tied head has no memory of its own.
    head = nn.Linear(width, vocabulary, bias=False, device="meta" if architecture.tied else None)
    initialize(blocks, [tokens, head])
    if architecture.tied:
        head.weight = tokens.weight
    modules: dict[str, nn.Module] = {"tokens": tokens}
    if architecture.positions == "learned":
        modules["positions"] = Positions(length, width)
    modules |= {f"layer{i}": block for i, block in enumerate(blocks, 1)}
    modules["norm"] = norm(architecture.norm, width, bias=bias)
    modules["head"] = head
    return nn.Sequential(OrderedDict(modules))
