"""The layers of transformers.

Sources: Vaswani et al., Attention is all you need, NeurIPS 2017 (arXiv 1706.03762); normalisation
before attention and perceptron, as in GPT-2 (Radford et al., 2019); rotary positions of Su et al.,
RoFormer (arXiv 2104.09864); grouped queries of Ainslie et al., GQA, EMNLP 2023 (arXiv 2305.13245);
Zhang and Sennrich, Root mean square layer normalization, NeurIPS 2019 (arXiv 1910.07467).

Queries, keys and values have a linear layer each, and each head has the same number of features in
all networks of a space. So the first rows of a layer are its first heads, and a network with fewer
heads, or a narrower embedding, is a slice of one with more.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from optnas.search_spaces.transformer.layer import TransformerLayer

NORMS = ("layer_norm", "rms_norm")
DEVIATION = 0.02
"""Standard deviation of initial weights, as in GPT-2 and ViT."""
BASE = 10_000.0
"""Of the wavelengths of rotary positions."""


def norm(kind: str, width: int, *, bias: bool = True) -> nn.Module:
    """A normalisation of each position's features, with or without a bias."""
    if kind == "rms_norm":
        return nn.RMSNorm(width, eps=1e-5)
    return nn.LayerNorm(width, bias=bias)


class Positions(nn.Module):
    """Adds a learned vector to each position.

    Args:
        length: The greatest number of positions.
        width: Features of a position.
    """

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(length, width).normal_(0, DEVIATION))

    def forward(self, x: Tensor) -> Tensor:
        """Sequences `(batch, length, width)` of at most as many positions as there are vectors."""
        return x + self.weight[: x.shape[1]]


class Rotary(nn.Module):
    """Turns pairs of features by angles that are proportional to the position.

    Args:
        length: The greatest number of positions.
        width: Features of a head.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        frequencies = BASE ** (-torch.arange(0, width, 2) / width)
        angles = torch.arange(length)[:, None] * frequencies
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Queries or keys `(batch, heads, length, width)`."""
        cos, sin = self.cos[: x.shape[2]], self.sin[: x.shape[2]]
        first, second = x.chunk(2, -1)
        return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


class Attention(nn.Module):
    """Scaled dot-product attention of several heads.

    Args:
        width: Features of a position.
        layer: The number of heads.
        head_width: Features of a head.
        bias: Whether the linear layers have one.
        causal: Whether a position sees only those before it and itself.
        rotary: The greatest number of positions, for rotary ones; None for none.
    """

    def __init__(
        self,
        width: int,
        layer: TransformerLayer,
        head_width: int,
        *,
        bias: bool = True,
        causal: bool = False,
        rotary: int | None = None,
    ) -> None:
        super().__init__()
        self.num_heads, self.num_keys, self.head_width = layer.heads, layer.keys, head_width
        self.causal = causal
        self.query = nn.Linear(width, self.num_heads * head_width, bias)
        self.key = nn.Linear(width, self.num_keys * head_width, bias)
        self.value = nn.Linear(width, self.num_keys * head_width, bias)
        self.rotary = None if rotary is None else Rotary(rotary, head_width)
        self.out = nn.Linear(self.num_heads * head_width, width, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Sequences `(batch, length, width)` to others of the same shape."""
        query, key, value = (
            layer(x).unflatten(-1, (-1, self.head_width)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        if self.rotary is not None:
            query, key = self.rotary(query), self.rotary(key)
        times = self.num_heads // self.num_keys
        if times > 1:
            # Query head i takes keys i modulo their number, however many query heads there are.
            key, value = (part.repeat(1, times, 1, 1) for part in (key, value))
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        found: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return found


class TransformerBlock(nn.Module):
    """Attention and a perceptron with GELU, each with a normalisation before and a sum after it.

    Args:
        width: Features of a position.
        hidden: Features of the perceptron's hidden layer.
        attention: The attention.
        kind: `layer_norm` or `rms_norm`.
        bias: Whether linear layers and normalisation have one.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        attention: Attention,
        kind: str = "layer_norm",
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.attention_norm = norm(kind, width, bias=bias)
        self.attention = attention
        self.mlp_norm = norm(kind, width, bias=bias)
        self.mlp = nn.Sequential(
            OrderedDict(
                up=nn.Linear(width, hidden, bias),
                activation=nn.GELU(),
                down=nn.Linear(hidden, width, bias),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Sequences `(batch, length, width)` to others of the same shape."""
        x = x + self.attention(self.attention_norm(x))
        found: Tensor = x + self.mlp(self.mlp_norm(x))
        return found


@torch.no_grad()
def initialize(blocks: Sequence[TransformerBlock], others: Sequence[nn.Module]) -> None:
    """Draws the initial weights of linear layers and embeddings as in GPT-2; biases are 0.

    What adds to the residual stream is smaller by the root of the number of such sums, so that its
    variance stays, whatever the depth.
    """
    for outer in (*blocks, *others):
        for module in outer.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                module.weight.normal_(0, DEVIATION)
            if isinstance(module, nn.Linear) and module.bias is not None:
                module.bias.zero_()
    for block in blocks:
        for layer in (block.attention.out, block.mlp.get_submodule("down")):
            assert isinstance(layer, nn.Linear)
            layer.weight /= math.sqrt(2 * len(blocks))
