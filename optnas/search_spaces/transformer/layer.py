"""The choices for the layers of a transformer, and what is drawn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from optuna.trial import BaseTrial

from optnas.search_spaces.checks import check_positives, check_range, check_sizes
from optnas.search_spaces.staged import choose, choose_depth
from optnas.utils.checks import check_counts


@dataclass(frozen=True)
class TransformerLayer:
    """A layer: attention, and a perceptron with one hidden layer.

    Attributes:
        heads: The number of attention heads.
        mlp_ratio: Features of the perceptron's hidden layer, as a multiple of the embedding.
        kv_heads: The number of heads of keys and values, which equal numbers of query heads share;
            0 gives each query head its own.
    """

    heads: int
    mlp_ratio: float = 4
    kv_heads: int = 0

    def hidden(self, embedding: int) -> int:
        """Features of the perceptron's hidden layer."""
        return max(1, round(self.mlp_ratio * embedding))

    @property
    def keys(self) -> int:
        """The number of heads of keys, and of values."""
        return self.kv_heads or self.heads


@dataclass(frozen=True)
class LayerChoices:
    """What there is to choose for layers; a setting with one value is no parameter.

    Attributes:
        depth: The least and greatest number of layers.
        heads: The choices for the attention heads of a layer.
        mlp_ratios: The choices for the hidden features of a layer, as a multiple of the embedding.
        kv_heads: The choices for the heads of keys and values of a layer; 0 is as many as heads.

    Raises:
        ValueError: A choice is out of range, or doesn't divide the heads.
    """

    depth: tuple[int, int]
    heads: tuple[int, ...]
    mlp_ratios: tuple[float, ...]
    kv_heads: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        check_range("depth", self.depth, 1)
        check_sizes("heads", self.heads)
        check_positives("mlp_ratios", self.mlp_ratios)
        check_sizes("kv_heads", self.kv_heads, 0)
        for keys in filter(None, self.kv_heads):
            unfit = [heads for heads in self.heads if heads % keys or heads == keys]
            if unfit:
                raise ValueError(
                    f"kv_heads must divide each of heads and be less, or 0 for as many as heads: "
                    f"{keys} doesn't fit {unfit[0]} (heads={self.heads}, kv_heads={self.kv_heads})"
                )

    def suggest(self, trial: BaseTrial) -> tuple[TransformerLayer, ...]:
        """Draws the depth, then each layer."""
        depth = choose_depth(trial, "depth", *self.depth)
        return tuple(
            TransformerLayer(
                choose(trial, f"layer{i}.heads", self.heads),
                choose(trial, f"layer{i}.mlp_ratio", self.mlp_ratios),
                choose(trial, f"layer{i}.kv_heads", self.kv_heads),
            )
            for i in range(1, depth + 1)
        )


def check_hidden(mlp_ratios: Sequence[float], embeddings: Sequence[int]) -> None:
    """Raises ValueError unless each ratio gives another number of hidden features."""
    for embedding in embeddings:
        found: dict[int, float] = {}
        for ratio in mlp_ratios:
            hidden = TransformerLayer(1, ratio).hidden(embedding)
            if found.setdefault(hidden, ratio) != ratio:
                raise ValueError(
                    f"mlp_ratios {found[hidden]:g} and {ratio:g} give the same {hidden} features "
                    f"for an embedding of {embedding}: leave one of them out"
                )


def check_head_width(head_width: int, positions: Sequence[str] = ()) -> None:
    """Raises ValueError unless heads have features, in pairs where positions rotate them."""
    check_counts(head_width=head_width)
    if "rotary" in positions and head_width % 2:
        raise ValueError(f"rotary positions turn pairs: head_width must be even, got {head_width}")


def layer_settings(layers: Sequence[TransformerLayer]) -> dict[str, Any]:
    """The settings of layers, by the names that their parameters have."""
    settings: dict[str, Any] = {"depth": len(layers)}
    for i, layer in enumerate(layers, 1):
        settings |= {f"layer{i}.{setting}": value for setting, value in asdict(layer).items()}
    return settings


def layers_text(layers: Sequence[TransformerLayer], head_width: int) -> str:
    """Heads and perceptrons in words: `heads64 3-4 | mlp 4-3.5`; `4/2` has 2 heads of keys."""
    heads = "-".join(
        f"{layer.heads}/{layer.kv_heads}" if layer.kv_heads else str(layer.heads)
        for layer in layers
    )
    return f"heads{head_width} {heads} | mlp {'-'.join(f'{x.mlp_ratio:g}' for x in layers)}"
