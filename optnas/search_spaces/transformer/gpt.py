"""Decoders of the GPT family, for sequences of tokens.

Sources: Radford et al., Language models are unsupervised multitask learners (GPT-2, 2019);
Sukthanker et al., HW-GPT-Bench, NeurIPS 2024 (arXiv 2405.10299), whose ranges are those of its
authors' code. `modules.py` names the sources of the layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from optuna.trial import BaseTrial
from torch import Tensor, nn

from optnas.search_spaces.abilities import Encodable
from optnas.search_spaces.base import SearchSpace
from optnas.search_spaces.checks import check_booleans, check_names, check_sizes
from optnas.search_spaces.encoding import encode
from optnas.search_spaces.staged import choose
from optnas.search_spaces.transformer.gpt_architecture import (
    POSITIONS,
    GPTArchitecture,
    gpt_network,
)
from optnas.search_spaces.transformer.layer import (
    LayerChoices,
    TransformerLayer,
    check_head_width,
    check_hidden,
)
from optnas.search_spaces.transformer.modules import NORMS
from optnas.utils.checks import check_counts

GPT2_VOCABULARY = 50_257
GPT2_LENGTH = 1024


@dataclass(frozen=True)
class GPTSpace(SearchSpace[GPTArchitecture], Encodable[GPTArchitecture]):
    """Decoders: embedded tokens, layers of causal attention and perceptrons, logits of the next.

    Normalisation comes before attention and perceptron, the activation is GELU, and there is no
    dropout. Each head has the same number of features in all networks, so that networks share
    weights by slices. A network takes sequences of any length up to `length`.

    Class methods make spaces: `small` for a CPU, `hw_gpt_small`, `hw_gpt_medium` and `hw_gpt_large`
    with the ranges of HW-GPT-Bench. `gpt2` gives an architecture, which `build` of any space makes.

    Parameters: `embedding`, `bias`, `norm`, `positions`, `tied`, `depth`, `layer1.heads`,
    `layer1.mlp_ratio`, `layer1.kv_heads`, …. A setting with one value is no parameter.

    Example:
        ```python
        import optnas

        data = optnas.text("a text of some length " * 50, length=16)
        space = optnas.GPTSpace.small(data.outputs, data.input_shape[0])
        ```

    Attributes:
        vocabulary: The number of different tokens: `data.outputs`.
        length: The greatest length of a sequence: `data.input_shape[0]`.
        embeddings: The choices for the features of a position.
        depth: The least and greatest number of layers.
        heads: The choices for the attention heads of each layer.
        mlp_ratios: The choices for the hidden features of each layer's perceptron, as a multiple of
            the embedding.
        kv_heads: The choices for the heads of keys and values of each layer, which query heads
            share; each divides all of `heads` and is less. 0 is as many as query heads.
        biases: The choices for whether linear layers, and layer normalisation, have biases; the
            head never has one.
        norms: The choices for normalisation: `layer_norm` or `rms_norm`.
        positions: The choices for positions: `learned` or `rotary`.
        tied: The choices for whether the head has the weights of the tokens' embedding.
        head_width: Features of each head.

    Raises:
        ValueError: A setting is out of range.
    """

    vocabulary: int
    length: int
    embeddings: tuple[int, ...] = (768,)
    depth: tuple[int, int] = (12, 12)
    heads: tuple[int, ...] = (12,)
    mlp_ratios: tuple[float, ...] = (4,)
    kv_heads: tuple[int, ...] = (0,)
    biases: tuple[bool, ...] = (True,)
    norms: tuple[str, ...] = ("layer_norm",)
    positions: tuple[str, ...] = ("learned",)
    tied: tuple[bool, ...] = (True,)
    head_width: int = 64

    def __post_init__(self) -> None:
        check_counts(vocabulary=self.vocabulary, length=self.length)
        if self.length < 2:
            raise ValueError(
                f"length must be at least 2, for a token to look back, got {self.length}"
            )
        check_sizes("embeddings", self.embeddings)
        check_booleans("biases", self.biases)
        check_names("norms", self.norms, NORMS)
        check_names("positions", self.positions, POSITIONS)
        check_booleans("tied", self.tied)
        check_head_width(self.head_width, self.positions)
        check_hidden(self._layers.mlp_ratios, self.embeddings)

    @property
    def _layers(self) -> LayerChoices:
        return LayerChoices(self.depth, self.heads, self.mlp_ratios, self.kv_heads)

    @property
    def example_inputs(self) -> Tensor:
        """Tokens of shape `(1, length)`, in int64."""
        generator = torch.Generator().manual_seed(0)
        return torch.randint(self.vocabulary, (1, self.length), generator=generator)

    def suggest(self, trial: BaseTrial) -> GPTArchitecture:
        """Draws what concerns the whole network, then each layer."""
        return GPTArchitecture(
            choose(trial, "embedding", self.embeddings),
            bias=choose(trial, "bias", self.biases),
            norm=choose(trial, "norm", self.norms),
            positions=choose(trial, "positions", self.positions),
            tied=choose(trial, "tied", self.tied),
            layers=self._layers.suggest(trial),
            head_width=self.head_width,
        )

    def build(self, architecture: GPTArchitecture) -> nn.Module:
        """Makes the network: tokens `(batch, length)` to logits `(batch, length, vocabulary)`.

        Its layers are called `tokens`, `positions`, `layer1.attention.query`, `.key`, `.value` and
        `.out`, `layer1.mlp.up` and `.down`, …, `norm` and `head`.
        """
        return gpt_network(architecture, self.vocabulary, self.length)

    def params_of(self, architecture: GPTArchitecture) -> dict[str, Any]:
        """See `Encodable`."""
        return encode(self.suggest, architecture, lambda given: given.settings)

    @classmethod
    def small(cls, vocabulary: int, length: int) -> GPTSpace:
        """Networks of up to four narrow layers, of about 0.03 to 3 million parameters.

        `heads` is (2, 4) and `kv_heads` (0, 1), which must fit each other where one is replaced.
        Heads have 32 features each. The head has the weights of the embedding.
        """
        return cls(
            vocabulary,
            length,
            embeddings=(64, 96, 128, 192, 256),
            depth=(1, 4),
            heads=(2, 4),
            mlp_ratios=(2, 3, 4),
            kv_heads=(0, 1),
            biases=(False, True),
            norms=NORMS,
            positions=POSITIONS,
            head_width=32,
        )

    @classmethod
    def hw_gpt_small(cls, vocabulary: int = GPT2_VOCABULARY, length: int = GPT2_LENGTH) -> GPTSpace:
        """HW-GPT-Bench, GPT-S: embedding 192 to 768, depth 10 to 12, heads 4 to 12, MLP 2 to 4.

        GPT-2 small, with its learned positions, is a point of this space. The benchmark's networks
        rotate half of each head's features instead, and add attention and perceptron to the same
        input.
        """
        return cls._hw_gpt(vocabulary, length, (192, 384, 768), (10, 12), (4, 8, 12))

    @classmethod
    def hw_gpt_medium(
        cls, vocabulary: int = GPT2_VOCABULARY, length: int = GPT2_LENGTH
    ) -> GPTSpace:
        """HW-GPT-Bench, GPT-M: embedding 256 to 1024, depth 22 to 24, heads 8 to 16, MLP 2 to 4.

        See `hw_gpt_small`.
        """
        return cls._hw_gpt(vocabulary, length, (256, 512, 1024), (22, 24), (8, 12, 16))

    @classmethod
    def hw_gpt_large(cls, vocabulary: int = GPT2_VOCABULARY, length: int = GPT2_LENGTH) -> GPTSpace:
        """HW-GPT-Bench, GPT-L: embedding 320 to 1280, depth 34 to 36, heads 8 to 20, MLP 2 to 4.

        See `hw_gpt_small`.
        """
        return cls._hw_gpt(vocabulary, length, (320, 640, 1280), (34, 36), (8, 16, 20))

    @classmethod
    def _hw_gpt(
        cls,
        vocabulary: int,
        length: int,
        embeddings: tuple[int, ...],
        depth: tuple[int, int],
        heads: tuple[int, ...],
    ) -> GPTSpace:
        return cls(vocabulary, length, embeddings, depth, heads, (2, 3, 4), biases=(False, True))

    @staticmethod
    def gpt2(size: str = "small") -> GPTArchitecture:
        """GPT-2, an architecture for `build`: `small`, `medium`, `large` or `xl`."""
        sizes = {"small": (12, 12), "medium": (24, 16), "large": (36, 20), "xl": (48, 25)}
        check_names("size", (size,), list(sizes))
        depth, heads = sizes[size]
        return GPTArchitecture(64 * heads, (TransformerLayer(heads),) * depth)
