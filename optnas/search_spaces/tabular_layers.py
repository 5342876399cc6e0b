"""The layers of networks for tables; `tabular.py` names their source."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

import torch
from torch import Tensor, nn

from optnas.search_spaces.base import ACTIVATIONS, dropout_layer

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda width: nn.Identity(),
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
}


class Embedding(nn.Module):
    """Vectors of several categories, in one table.

    The numbers of a vector lie `categories` apart in the output: first the first number of each
    category, then the second ones. So a network with shorter vectors uses the first columns of the
    next layer's weights, as shared weights need it.

    Args:
        categories: The number of codes of each category.
        size: The size of a vector.
    """

    sizes: Tensor
    offsets: Tensor

    def __init__(self, categories: tuple[int, ...], size: int) -> None:
        super().__init__()
        self.table = nn.Embedding(sum(categories), size)
        offsets = torch.tensor([0, *accumulate(categories)][:-1])
        self.register_buffer("sizes", torch.tensor(categories), persistent=False)
        self.register_buffer("offsets", offsets, persistent=False)
        with torch.no_grad():
            self.table.weight[offsets] = 0.0  # unseen values, whose vectors aren't trained

    def forward(self, codes: Tensor) -> Tensor:
        """Codes `(batch, categories)` to vectors `(batch, size · categories)`."""
        known = (codes >= 0) & (codes < self.sizes)
        vectors: Tensor = self.table(codes.where(known, 0) + self.offsets)
        return vectors.transpose(1, 2).flatten(1)


class PlainBlock(nn.Module):
    """Normalisation, activation, dropout and a linear layer."""

    def __init__(self, width: int, norm: str, activation: str, dropout: float) -> None:
        super().__init__()
        self.norm = NORMS[norm](width)
        self.activation = ACTIVATIONS[activation]()
        self.dropout = dropout_layer(dropout)
        self.linear = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Shape `(batch, width)` to the same."""
        y: Tensor = self.linear(self.dropout(self.activation(self.norm(x))))
        return y


class ResidualBlock(nn.Module):
    """Normalisation, a linear layer, activation, dropout and a linear layer back; added."""

    def __init__(self, width: int, hidden: int, norm: str, activation: str, dropout: float) -> None:
        super().__init__()
        self.norm = NORMS[norm](width)
        self.hidden = nn.Linear(width, hidden)
        self.activation = ACTIVATIONS[activation]()
        self.dropout = dropout_layer(dropout)
        self.output = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Shape `(batch, width)` to the same."""
        y: Tensor = self.output(self.dropout(self.activation(self.hidden(self.norm(x)))))
        return x + y


class TabularNetwork(nn.Module):
    """The whole network; its arguments are the settings of `TabularSpace` and its architecture."""

    def __init__(
        self,
        numbers: int,
        categories: tuple[int, ...],
        outputs: int,
        width: int,
        embedding_size: int,
        *,
        depth: int,
        hidden: int,
        norm: str,
        activation: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = Embedding(categories, embedding_size) if categories else None
        self.stem = nn.Linear(numbers + embedding_size * len(categories), width)
        blocks: list[nn.Module] = [
            ResidualBlock(width, hidden, norm, activation, dropout)
            if hidden
            else PlainBlock(width, norm, activation, dropout)
            for _ in range(depth)
        ]
        self.depth = depth
        for i, block in enumerate(blocks, 1):
            self.add_module(f"block{i}", block)
        self.norm = NORMS[norm](width)
        self.activation = ACTIVATIONS[activation]()
        self.head = nn.Linear(width, outputs)

    def forward(self, numbers: Tensor | None = None, categories: Tensor | None = None) -> Tensor:
        """Numbers `(batch, numbers)` and codes `(batch, categories)` to `(batch, outputs)`."""
        parts = [] if numbers is None else [numbers]
        if self.embedding is not None:
            parts.append(self.embedding(categories))
        x = self.stem(parts[0] if len(parts) == 1 else torch.cat(parts, 1))
        for i in range(1, self.depth + 1):
            x = self.get_submodule(f"block{i}")(x)
        y: Tensor = self.head(self.activation(self.norm(x)))
        return y
